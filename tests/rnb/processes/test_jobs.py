"""The input of a replica where requests are tried again: claims, what it leaves to others, and its end."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from rnb.contract.request import Request, TensorSpec
from rnb.processes.jobs import Incident, JobQueue, JobRules, Retired, follow_incidents
from rnb.transport.fabric import NOBODY, EndOfStream
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.message import Message, SlotRef
from tests.support.underway import make_pool, make_queue, make_table


class Replica:
    """The place 1 of a plan, with a queue, a table and a pool of its own."""

    def __init__(self, **rules: Any) -> None:
        fabric = LocalFabric()
        self.queue, self.table, self.pool = make_queue(), make_table(), make_pool(TensorSpec((1,)))
        self.retirements, self.incidents = fabric.numbers(np.zeros(3, np.int64)), fabric.log()
        self.num_asked = 0
        self.rules = JobRules(
            **{
                "number": 1,
                "is_replaceable": True,
                "has_others": True,
                "recycle_after": None,
                "incidents": self.incidents,
                "retirements": self.retirements,
                **rules,
            }
        )
        self.takes = JobQueue(
            self.queue, self.rules, table=self.table, pools={0: self.pool}, ask_to_retire=self.ask
        )

    def ask(self) -> None:
        self.num_asked += 1

    def send(self, *request_ids: int, slot: SlotRef | None = None) -> None:
        self.queue.put(Message(slot, tuple(map(Request, request_ids)), ((),) * len(request_ids)))

    def take(self) -> list[int]:
        return [one.id for one in self.takes.take(0).requests]


def test_what_it_takes_it_claims_with_its_slot() -> None:
    replica = Replica()
    slot = replica.pool.take()
    replica.send(3, 4, slot=SlotRef(0, slot))
    assert replica.take() == [3, 4]
    assert replica.table.holders.tolist() == [NOBODY] * 3 + [1, 1] + [NOBODY] * 5
    replica.pool.reclaim()
    assert replica.pool._holders[slot]
    replica.pool.let_go(1)
    assert not replica.pool._holders[slot]


def test_what_it_failed_it_leaves_to_others() -> None:
    replica = Replica()
    replica.table.shunned[3] = 1
    replica.table.shunned[4] = 2
    replica.send(2, 3)
    replica.send(4)
    with pytest.raises(TimeoutError):
        replica.take()
    assert replica.take() == [4]
    assert [one.id for one in replica.queue.take(0).requests] == [2, 3]


def test_where_there_are_no_others_it_takes_it_again() -> None:
    replica = Replica(has_others=False)
    replica.table.shunned[3] = 1
    replica.send(3)
    assert replica.take() == [3]


def test_it_asks_once_to_be_replaced_and_goes_on_until_it_may_end() -> None:
    replica = Replica(recycle_after=3)
    for request_ids in ([0], [1, 2, 3], [4]):
        replica.send(*request_ids)
    assert (replica.take(), replica.num_asked) == ([0], 0)
    assert (replica.take(), replica.num_asked) == ([1, 2, 3], 1)
    replica.retirements.values[2] = 1
    assert (replica.take(), replica.num_asked) == ([4], 1)
    replica.send(5)
    replica.retirements.values[1] = 1
    with pytest.raises(Retired):
        replica.take()
    assert replica.queue.depth() == 1


def test_it_passes_on_the_end() -> None:
    replica = Replica()
    replica.queue.close()
    with pytest.raises(EndOfStream) as caught:
        replica.take()
    assert not isinstance(caught.value, Retired)


def test_the_driver_is_told_what_failed_and_what_was_lost() -> None:
    replica = Replica()
    sink = replica.rules.sink(replica.table)
    sink.fail(3, "é")
    sink.lose(4, "gone")
    sink.lose(5, "gone")
    found = list(follow_incidents(replica.incidents))
    assert found[0] == Incident(3, 1, False, "é")
    assert [one[:3] for one in found[1:]] == [(4, 1, True), (5, 1, True)]
    assert list(follow_incidents(replica.incidents)) == []


def test_passing_on_takes_little_time() -> None:
    replica = Replica()
    replica.table.shunned[3] = 1
    replica.send(3)
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            replica.take()
    assert 0.04 <= time.monotonic() - began < 5
