"""Workers that come at the same time get the same object, which one of them makes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rnb.processes.sharing import Shared


def test_it_is_made_once() -> None:
    shared, made, gate = Shared(), list[object](), threading.Barrier(4)

    def make() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    def ask() -> object:
        gate.wait()
        return shared(make)

    with ThreadPoolExecutor(4) as threads:
        found = [future.result() for future in [threads.submit(ask) for _ in range(4)]]
    assert len(made) == 1
    assert all(one is made[0] for one in found)


def test_what_could_not_be_made_is_tried_again() -> None:
    shared = Shared()
    with pytest.raises(ValueError, match="no memory"):
        shared(lambda: int("no memory"))
    assert shared(lambda: 3) == 3


def test_it_is_given_out_when_what_making_it_has_begun_is_done() -> None:
    shared, events = Shared(), list[str]()
    for _ in range(2):
        shared(lambda: events.append("made"), settle=lambda: events.append("settled"))
    assert events == ["made", "settled"]
