"""The line between the driver and a child: either side may speak several times."""

from __future__ import annotations

import threading

import pytest

from rnb.contract.termination import Termination
from rnb.transport.fabric import Stopped
from rnb.transport.local.control import PipeLine
from rnb.transport.local.fabric import LocalFabric


def test_a_child_may_tell_the_same_thing_twice() -> None:
    ours, line = LocalFabric().line()
    for value in (1, [2], None):
        line.tell("seen", value)
    assert [ours.recv() for _ in range(3)] == [("seen", 1), ("seen", [2]), ("seen", None)]


def test_the_driver_may_say_the_same_thing_twice() -> None:
    ours, line = LocalFabric().line()
    for value in ("first", "second"):
        ours.send(("handles", value))
    assert [line.wait_for("handles") for _ in range(2)] == ["first", "second"]


def test_a_wait_ends_when_the_run_does() -> None:
    fabric = LocalFabric()
    ours, line = fabric.line()
    threading.Timer(0.05, fabric.stop.raise_flag, [Termination.INTERRUPTED]).start()
    with pytest.raises(Stopped):
        line.wait_for("handles")
    ours.close()


def test_an_exit_before_its_time_ends_a_wait() -> None:
    ours, line = LocalFabric().line()
    ours.send(("exit", None))
    with pytest.raises(Stopped):
        line.wait_for("start")


def test_a_child_whose_driver_is_gone_stops_and_may_go() -> None:
    ours, line = LocalFabric().line()
    ours.close()
    line.tell("finished")
    with pytest.raises(Stopped):
        line.wait_for("start")
    line.wait_for_exit()


def test_a_child_waits_for_the_exit_whatever_else_comes() -> None:
    ours, line = LocalFabric().line()
    gone = threading.Thread(target=line.wait_for_exit)
    gone.start()
    ours.send(("handles", {}))
    gone.join(0.1)
    assert gone.is_alive()
    ours.send(("exit", None))
    gone.join(30)
    assert not gone.is_alive()


def test_the_driver_closes_the_childs_end() -> None:
    ours, line = LocalFabric().line()
    assert isinstance(line, PipeLine)
    line.close()
    with pytest.raises(EOFError):
        ours.recv()
