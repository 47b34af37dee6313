"""What processes did until a run started: noted by each of them, put together by the driver."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnb.play import play
from rnb.processes.start_up import PROCESS, StartUp, phases_of_run, timed_of_children
from rnb.record.run_folder import read
from rnb.spec import schedule_of
from rnb.transport.clock import now_ns
from tests.support.played import NOTHING, spec_for
from tests.support.running import ROOT


def test_phases_are_in_seconds_since_the_driver_began() -> None:
    driver, child = StartUp(), StartUp()
    with driver.phase("processes"):
        child.began_ns = driver.began_ns + 3_000_000_000
    with child.phase("warm-up", worker=1):
        time.sleep(0.01)
    asked_ns = {"step 0.0": driver.began_ns + 1_000_000_000}
    phases = phases_of_run(driver, timed_of_children({"step 0.0": child.told()}, asked_ns))
    by_name = {(phase.process, phase.what): phase for phase in phases}
    started = by_name["step 0.0", PROCESS]
    assert (started.from_s, started.seconds, started.to_s) == (1, 2, 3)
    assert by_name["step 0.0", "warm-up"].worker == 1
    assert by_name["step 0.0", "warm-up"].seconds >= 0.01
    assert by_name["driver", "processes"].worker is None
    before = by_name["driver", PROCESS]
    assert before.from_s < 0
    assert before.to_s == pytest.approx(0, abs=1e-3)
    assert [phase.from_s for phase in phases] == sorted(phase.from_s for phase in phases)


def test_a_phase_that_fails_is_noted_too() -> None:
    start_up = StartUp()
    with pytest.raises(ValueError, match="weights"), start_up.phase("constructor"):
        raise ValueError("weights")
    assert [one.what for one in start_up.phases] == ["constructor"]


def test_a_process_knows_when_it_was_started() -> None:
    code = "import time; time.sleep(0.5); from rnb.processes.start_up import *; print(process_began_ns())"
    before_ns = now_ns()
    began_ns = int(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True))
    assert before_ns - 2e7 <= began_ns <= now_ns() - 5e8


@pytest.mark.processes
def test_a_run_keeps_what_each_process_did(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [{**NOTHING, "gpus": [0, 0]}])
    folder = tmp_path / "run"
    folder.mkdir()
    play(*schedule_of(spec), folder=folder)
    found = read(folder).meta.start_up
    assert {phase.process for phase in found} == {"driver", "client", "step 0.0", "step 0.1"}
    of_replica = [phase.what for phase in found if phase.process == "step 0.1"]
    assert of_replica[0] == PROCESS
    assert {"slots", "import", "constructor", "warm-up", "facts"} <= set(of_replica)
    *others, last = found
    assert (last.process, last.what) == ("driver", "start of observers")
    assert all(phase.to_s <= last.from_s + 0.001 for phase in others)
