"""Forked processes have what they need, are the driver's in all but their imports, and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from rnb.transport.local.fabric import LocalFabric
from tests.support.leftovers import pids_with

IMPORTED = ("rnb.processes.child", "torch")

DRIVER = """
import time
from rnb.transport.local.fabric import LocalFabric
from tests.rnb.transport.local.test_nursery import IMPORTED, hang
fabric = LocalFabric(IMPORTED)
for number in range(2):
    ours, theirs = fabric._context.Pipe()
    fabric.process(name="hangs", target=hang, args=(theirs,)).start()
    print(ours.recv(), flush=True)
time.sleep(60)
"""


def tell(connection: Connection) -> None:
    import numpy as np

    connection.send((os.environ.get("OF_THE_DRIVER"), os.getcwd(), np.random.random()))


def hang(connection: Connection) -> None:
    connection.send([module in sys.modules for module in IMPORTED])
    from rnb.processes.child import depend_on_the_driver

    depend_on_the_driver()
    time.sleep(60)


def tell_of_torch(connection: Connection) -> None:
    connection.send("torch" in sys.modules)


def told(fabric: LocalFabric) -> Any:
    ours, theirs = fabric._context.Pipe()
    process = fabric.process(name="tells", target=tell, args=(theirs,))
    process.start()
    assert ours.poll(60)
    process.join(30)
    assert process.exitcode == 0
    return ours.recv()


def test_a_process_is_as_the_driver_is_when_it_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fabric = LocalFabric(IMPORTED)
    monkeypatch.setenv("OF_THE_DRIVER", "1")
    first = told(fabric)
    monkeypatch.setenv("OF_THE_DRIVER", "2")
    monkeypatch.chdir(tmp_path)
    second = told(fabric)
    assert second[:2] == ("2", str(tmp_path))
    assert first[0] == "1"
    assert first[2] != second[2]


@pytest.mark.processes
def test_all_have_imported_and_end_with_a_driver_that_is_killed_and_leave_nothing(tmp_path: Path) -> None:
    mark = f"RNB_NURSERY_TEST={os.getpid()}"
    name, _, value = mark.partition("=")
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, name: value, "TMPDIR": str(tmp_path)},
    ) as driver:
        assert driver.stdout is not None
        assert [driver.stdout.readline() for _ in range(2)] == ["[True, True]\n"] * 2
        assert len(list(pids_with(mark))) >= 4  # the driver, the nursery and two more
        driver.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (left := list(pids_with(mark))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert not list(tmp_path.iterdir())
