"""Calls that take longer on purpose."""

from __future__ import annotations

import time

import pytest

from rnb.processes.slowness import Slowdown, Slowness
from rnb.transport.clock import now_ns

S = 1_000_000_000


def held(slowness: Slowness) -> float:
    """How many times as long a call takes; a busy machine adds to it."""
    started_ns = now_ns()
    time.sleep(0.02)
    worked_ns = now_ns() - started_ns
    slowness.hold(started_ns)
    return (now_ns() - started_ns) / worked_ns


def test_a_call_takes_so_many_times_as_long() -> None:
    slowness = Slowness([Slowdown(start_ns=0, end_ns=None, factor=3.0)], now_ns())
    assert 3 <= held(slowness) < 6


def test_several_multiply() -> None:
    both = [Slowdown(start_ns=0, end_ns=None, factor=2.0), Slowdown(start_ns=0, end_ns=S * 60, factor=1.5)]
    assert 3 <= held(Slowness(both, now_ns())) < 6


@pytest.mark.parametrize(("start_s", "end_s"), [(60, None), (-9, -1)])
def test_before_and_after_a_call_takes_what_it_takes(start_s: int, end_s: int | None) -> None:
    end_ns = None if end_s is None else end_s * S
    slowness = Slowness([Slowdown(start_ns=start_s * S, end_ns=end_ns, factor=50.0)], now_ns())
    assert held(slowness) < 10
    assert held(Slowness([], 0)) < 10
