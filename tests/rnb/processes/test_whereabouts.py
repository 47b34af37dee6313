"""Which requests went with a connection, from what the nodes that are left know."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import numpy as np

from rnb.contract.events import DUE
from rnb.contract.request import Request
from rnb.processes.whereabouts import (
    HERE,
    Whereabouts,
    arrive,
    begin,
    leave,
    lost,
    miss,
    moves_of,
    whereabouts,
)
from rnb.transport.local.request_table import RequestTable

NUM_REPLICAS = 4
BRIDGES = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
"""By node, where each of its bridges leads to."""


class Nodes:
    """Three, each with its table; requests go from one to another."""

    def __init__(self) -> None:
        self.tables = [RequestTable(num_requests=8, events=(DUE,)) for _ in BRIDGES]

    def number(self, node: int, peer: int) -> int:
        return NUM_REPLICAS + BRIDGES[node].index(peer)

    def send(self, request_id: int, *path: int) -> None:
        """Along a path of nodes; it arrives at each."""
        for node, peer in itertools.pairwise(path):
            self.arrive(peer, node, request_id, self.leave(node, peer, request_id))

    def leave(self, node: int, peer: int, request_id: int) -> Sequence[int]:
        leave(self.tables[node], [Request(request_id)], self.number(node, peer))
        return moves_of(self.tables[node], [Request(request_id)])

    def arrive(self, node: int, peer: int, request_id: int, moves: Sequence[int]) -> None:
        arrive(self.tables[node], [Request(request_id)], moves, self.number(node, peer))

    def known(self, *nodes: int) -> dict[int, Whereabouts]:
        return {node: whereabouts(self.tables[node], BRIDGES[node], NUM_REPLICAS) for node in nodes}

    def lost(self, left: Sequence[int], *broken: tuple[int, int]) -> dict[int, set[int]]:
        unfinished = np.ones(8, bool)
        unfinished[7] = False
        found = lost(self.known(*left), [frozenset(link) for link in broken], unfinished)
        return {request_id: set(link) for request_id, link in found.items()}


def test_what_a_node_knows() -> None:
    nodes = Nodes()
    nodes.send(3, 0, 1)
    nodes.leave(1, 2, 3)
    nodes.send(5, 0, 1)
    ids, moves, away_to = nodes.known(1)[1]
    assert (ids.tolist(), moves.tolist(), away_to.tolist()) == ([3, 5], [2, 1], [2, HERE])


def test_what_was_on_a_node_that_is_gone_is_lost() -> None:
    nodes = Nodes()
    nodes.send(0, 0, 2)
    nodes.send(1, 0, 1, 2)
    nodes.send(2, 0, 1)
    nodes.send(7, 0, 2)  # it has ended
    assert nodes.lost([0, 1], (0, 2), (1, 2)) == {0: {0, 2}, 1: {1, 2}}


def test_what_had_gone_on_from_there_is_not() -> None:
    nodes = Nodes()
    nodes.send(0, 0, 2, 1)
    nodes.send(1, 0, 2, 0)
    nodes.send(2, 0, 2, 1, 0, 2)
    assert nodes.lost([0, 1], (0, 2), (1, 2)) == {2: {0, 2}}


def test_what_was_under_way_to_a_node_that_is_there_is_lost_with_the_connection_alone() -> None:
    nodes = Nodes()
    nodes.leave(0, 1, 0)
    nodes.leave(0, 2, 1)
    nodes.send(2, 0, 1)
    nodes.tables[1].claim(Request(2), 3)  # a replica has taken it
    assert nodes.lost([0, 1, 2], (0, 1)) == {0: {0, 1}}


def test_what_was_never_put_into_a_queue_has_not_arrived() -> None:
    nodes = Nodes()
    for request_id in (0, 1, 2):
        nodes.send(request_id, 0, 1)
    nodes.tables[1].claim(Request(1), 3)
    bridge = nodes.number(1, 0)
    miss(nodes.tables[1], waiting={2}, bridge=bridge)
    assert nodes.lost([0, 1], (0, 1)) == {0: {0, 1}}


def test_a_new_try_counts_for_more_than_all_before() -> None:
    nodes = Nodes()
    nodes.send(0, 0, 1, 0, 1, 2)
    nodes.send(1, 0, 1, 0, 1, 2)
    for request_id in (0, 1):
        begin(nodes.tables[0], request_id, 2)
        nodes.tables[0].holders[request_id] = -1
    nodes.send(1, 0, 1)
    nodes.leave(1, 2, 1)
    assert nodes.lost([0, 1], (0, 2), (1, 2)) == {1: {1, 2}}, "the other one waits on node 0"


def test_bridges_go_on_while_a_node_looks() -> None:
    table = RequestTable(num_requests=100_000, events=(DUE,))
    is_over = threading.Event()

    def move_on() -> None:
        while not is_over.is_set():
            table.moves[:] = 1
            table.moves[:] = 0

    others = threading.Thread(target=move_on)
    others.start()
    sizes: list[int] = []
    try:
        while len(sizes) < 300 or len(set(sizes)) == 1:  # until some have moved meanwhile
            sizes.append(len(whereabouts(table, BRIDGES[0], NUM_REPLICAS).ids))
    finally:
        is_over.set()
        others.join()
    assert max(sizes) <= table.num_requests


def test_what_comes_back_while_a_node_looks_is_not_away() -> None:
    """A request goes round three nodes; to look at its holder and its moves takes two moments."""
    table, requests = RequestTable(num_requests=200, events=(DUE,)), [Request(one) for one in range(200)]
    is_over = threading.Event()

    def go_round() -> None:
        while not is_over.is_set():
            leave(table, requests, NUM_REPLICAS)
            moves = [number + 2 for number in moves_of(table, requests)]
            arrive(table, requests, moves, NUM_REPLICAS + 1)

    others = threading.Thread(target=go_round)
    others.start()
    num_looks = num_away = 0
    try:
        while num_looks < 300 or not num_away:
            known = whereabouts(table, BRIDGES[0], NUM_REPLICAS)
            is_away = known.away_to != HERE
            num_looks, num_away = num_looks + 1, num_away + bool(is_away.any())
            assert set((known.moves[is_away] % 3).tolist()) <= {1}, "away after its first move in three"
    finally:
        is_over.set()
        others.join()
