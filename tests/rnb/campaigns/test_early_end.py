"""Ending a probe that cannot pass, on a table as a run fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnb.campaigns.early_end import LOOK_EVERY, EarlyEnd, num_over
from rnb.contract.events import DUE, Event, EventKind
from rnb.transport.fabric import FAILED, FINISHED
from rnb.transport.local.request_table import RequestTable

MS = 1_000_000
END = Event(EventKind.FINISHED, 0)


def table() -> RequestTable:
    """Ten requests, one due each 10 ms from 1 s on."""
    made = RequestTable(num_requests=10, events=[DUE, Event(EventKind.TAKEN, 0), END])
    made.note_due(range(10), 1000 * MS + 10 * MS * np.arange(10))
    return made


def finish(made: RequestTable, request: int, latency_ms: int) -> None:
    made.times[request, 2] = made.times[request, 0] + latency_ms * MS
    made.outcomes["status"][request] = FINISHED


@dataclass
class Clock:
    now_ns: Callable[[], int]


def test_late_ones_and_open_ones_are_over() -> None:
    made = table()
    finish(made, 0, 20)
    finish(made, 1, 60)
    made.outcomes["status"][2] = FAILED
    assert num_over(made, 0, 50, 1000 * MS) == 1
    assert num_over(made, 0, 50, 1065 * MS) == 1
    assert num_over(made, 0, 50, 1075 * MS) == 2  # the failed one, due at 1020
    assert num_over(made, 0, 50, 1085 * MS) == 3
    assert num_over(made, 3, 50, 1085 * MS) == 1  # those of the warm-up do not count
    assert num_over(made, 0, 50, 9000 * MS) == 9


def test_what_is_not_due_yet_is_not_over() -> None:
    made = table()
    assert num_over(made, 0, 50, 0) == 0
    assert num_over(RequestTable(num_requests=3, events=[DUE, END]), 0, 50, 10**15) == 0


@pytest.mark.parametrize(("max_over", "ends"), [(8, True), (9, True), (10, False)])
def test_it_interrupts_the_run(max_over: int, ends: bool) -> None:
    made: Any = table()
    ending = EarlyEnd(bound_ms=50, max_over=max_over)
    watched: Any = SimpleNamespace(table=made, num_warmup=0, clock=Clock(lambda: 9000 * MS))
    ending.prepare(watched)
    for _ in range(LOOK_EVERY):
        ending.look()
    assert (ending.has_ended, ending.interruption.is_set) == (ends, ends)


def test_an_interruption_by_the_user_is_not_its_doing() -> None:
    ending = EarlyEnd(bound_ms=50, max_over=0)
    ending.prepare(SimpleNamespace(table=table(), num_warmup=0, clock=Clock(lambda: 9000 * MS)))  # type: ignore[arg-type]
    ending.interruption.set()
    for _ in range(LOOK_EVERY):
        ending.look()
    assert not ending.has_ended
