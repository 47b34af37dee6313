"""Timers that end within microseconds."""

from __future__ import annotations

import socket
import time

from rnb.remote.precise_loop import PreciseSelector, precise_loop

SHORT_S = 0.0002


def test_a_wait_ends_before_the_next_millisecond() -> None:
    took_s = []
    with PreciseSelector() as selector:
        for _ in range(100):
            began_s = time.perf_counter()
            assert selector.select(SHORT_S) == []
            took_s.append(time.perf_counter() - began_s)
    assert SHORT_S <= min(took_s) < 0.0009  # epoll alone waits for 1 ms


def test_what_is_ready_ends_the_wait() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, PreciseSelector() as selector:
        selector.register(ours, 1)
        theirs.send(b"x")
        began_s = time.perf_counter()
        ((key, _),) = selector.select(30)
        assert key.fileobj is ours
        assert time.perf_counter() - began_s < 10


def test_a_loop_runs_with_it() -> None:
    loop = precise_loop()
    done: list[int] = []
    loop.call_later(0.002, done.append, 2)
    loop.call_later(0.001, done.append, 1)
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    loop.close()
    assert done == [1, 2]
