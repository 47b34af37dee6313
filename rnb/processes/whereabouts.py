"""Where each request is that has not ended, as the nodes know it, and which of them went with a connection.

Each node counts the moves of a request from node to node: a bridge adds one when it takes a request
(`leave`), that number goes along, and the other bridge notes it (`arrive`) before it puts the message into
its queue. So the node with the highest number knows best where a request is, or to which other node it has
left; and what has left over a connection that broke, and came nowhere, is lost. Each try begins with a number
that is higher than all of the tries before.

A bridge may be killed at any moment, so the order of what it notes matters: what leaves is here until its
queue is about to forget it, and what arrives counts only if it is found in a queue (`miss`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnb.contract.request import Request
from rnb.transport.fabric import GIVEN_UP, Table

HERE = -1
"""In the place of the node to which a request has left."""
MOVES_OF_A_TRY = 1 << 16
"""More than a request makes in one: a step, or less, each."""

Ids = NDArray[np.int64]
Link = frozenset[int]
"""Two nodes."""


class Whereabouts(NamedTuple):
    """What a node knows of the requests that have moved; each (number of those,)."""

    ids: Ids
    moves: Ids
    away_to: NDArray[np.int32]
    """The node to which it has left; HERE: it is in a queue or in the name of a replica, or has ended."""


def leave(table: Table, requests: Sequence[Request], bridge: int) -> None:
    """A bridge has taken them; `bridge`: its number, see JobRules."""
    for request in requests:
        table.moves[request.id] += 1
        table.claim(request, bridge)


def moves_of(table: Table, requests: Sequence[Request]) -> tuple[int, ...]:
    """What goes along with them."""
    return tuple(table.moves[[request.id for request in requests]].tolist())


def arrive(table: Table, requests: Sequence[Request], moves: Sequence[int], bridge: int) -> None:
    """They are about to be put into a queue here."""
    for request, number in zip(requests, moves, strict=True):
        table.holders[request.id] = _arrived_by(bridge)
        table.moves[request.id] = number


def miss(table: Table, waiting: Collection[int], bridge: int) -> None:
    """After a bridge has ended: what it had not put into a queue has not arrived.

    `waiting`: the requests that were found in the queues that it fills, after its end and before this.
    """
    arrived = np.flatnonzero(table.holders == _arrived_by(bridge))
    table.holders[arrived[~np.isin(arrived, list(waiting))]] = bridge


def begin(table: Table, request_id: int, attempt: int) -> None:
    """Another try of it begins, on the driver's node."""
    table.moves[request_id] = attempt * MOVES_OF_A_TRY


def whereabouts(table: Table, peers: Sequence[int], first: int) -> Whereabouts:
    """What is known here. `peers`: to which node each bridge leads; `first`: the number of the first."""
    # Compared first: numpy finds what is not 0 in two passes, and bridges write meanwhile.
    ids = np.flatnonzero(table.moves != 0)
    moves, holders = _at_one_moment(table, ids)
    bridges = holders - first
    is_away = (bridges >= 0) & (bridges < len(peers))
    away_to = np.full(len(ids), HERE, np.int32)
    away_to[is_away] = np.array(peers, np.int32)[bridges[is_away]]
    return Whereabouts(ids, moves, away_to)


def _at_one_moment(table: Table, ids: Ids) -> tuple[Ids, NDArray[np.int32]]:
    """The moves of requests, and the holder that each had while its moves were that many.

    One that comes back meanwhile would else seem to have left after its last move.
    """
    moves, holders = table.moves[ids], table.holders[ids]
    moved = np.flatnonzero(table.moves[ids] != moves)
    while len(moved):
        moves[moved], holders[moved] = table.moves[ids[moved]], table.holders[ids[moved]]
        moved = moved[table.moves[ids[moved]] != moves[moved]]
    return moves, holders


def lost(
    known: Mapping[int, Whereabouts], broken: Collection[Link], unfinished: NDArray[np.bool_]
) -> dict[int, Link]:
    """Which requests went with which connection. `known`: by node, at least of all that are left at one end
    of a broken connection, as it is since they ended their bridges; `unfinished`: (number of requests,)."""
    most, link = np.full(len(unfinished), -1), np.full(len(unfinished), -1)
    links = list(broken)
    for node, (ids, moves, away_to) in known.items():
        rank = 2 * moves + (away_to == HERE)
        over = np.full(len(ids), -1)
        for number, one in enumerate(links):
            for other in one - {node} if node in one else ():
                over[away_to == other] = number
        is_best = rank > most[ids]
        most[ids[is_best]], link[ids[is_best]] = rank[is_best], over[is_best]
    found = np.flatnonzero((link >= 0) & unfinished)
    return {int(one): links[link[one]] for one in found}


def _arrived_by(bridge: int) -> int:
    return GIVEN_UP - 1 - bridge
