"""Candidates worked out here and by other processes: the same predictions, also where one of those dies."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnb.planner import parallel
from rnb.planner.goal import Goal, Prediction
from rnb.planner.parallel import Predictor
from rnb.planner.profile import Profile
from rnb.planner.profiling import profile_by_runs
from rnb.planner.screening import BLOCK, Simulator, candidates_of, screen
from rnb.planner.space import Limits, Space, Values
from tests.rnb.planner.test_screening import Truth
from tests.support.known_times import spec_of, step
from tests.support.running import ROOT

STEPS = [{**step(name), "gpus": [-1]} for name in ("Source", "Change")]
SPACE = Space(spec_of(*STEPS, videos=100), Limits(num_gpus=0, cores=3))
GOAL = Goal(name="latency", rate=60)


def simulator() -> Simulator:
    profile = Profile()
    profile_by_runs(profile, SPACE, Truth(), Path("nowhere"), seconds=60)
    return Simulator(profile=profile, cores=4)


def screened(predictor: Predictor, of: Simulator) -> tuple[dict[Values, Prediction], dict[str, int]]:
    known = dict[Values, Prediction]()
    found = candidates_of(SPACE, GOAL, of, SPACE.candidates())
    assert len(found.left) > 2 * BLOCK
    with predictor:
        screen(found, GOAL, predictor.predict, known=known, until_s=math.inf)
    return known, found.ruled_out


def test_what_is_found_does_not_depend_on_how_many_work(monkeypatch: pytest.MonkeyPatch) -> None:
    of = simulator()
    alone = screened(Predictor(GOAL, of, SPACE, num_processes=1), of)
    monkeypatch.setattr(parallel, "PAYS_AFTER_S", -1.0)
    predictor = Predictor(GOAL, of, SPACE, num_processes=2)
    monkeypatch.setattr(of.__class__, "predict", None)  # of this process, which is to do nothing
    assert screened(predictor, of) == alone


def test_they_end_with_who_they_work_for() -> None:
    code = """
import os, signal
from rnb.planner import parallel
from tests.rnb.planner.test_parallel import GOAL, SPACE, simulator
from rnb.planner.screening import candidates_of
parallel.PAYS_AFTER_S = -1.0
if __name__ == "__main__":
    of = simulator()
    left = candidates_of(SPACE, GOAL, of, SPACE.candidates()).left[:4]
    predictor = parallel.Predictor(GOAL, of, SPACE, num_processes=2)
    list(predictor.predict(left, None))
    print(*predictor._pool._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    pids = [int(pid) for pid in ended.stdout.split()]
    assert pids, ended.stderr
    ends_s = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cwd").exists() for pid in pids):
        assert time.monotonic() < ends_s, "they go on"
        time.sleep(0.05)


def test_when_one_is_killed_the_rest_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    of = simulator()
    left = candidates_of(SPACE, GOAL, of, SPACE.candidates()).left[:12]
    expected = [of.predict(GOAL, one) for one in left]
    monkeypatch.setattr(parallel, "PAYS_AFTER_S", -1.0)
    with Predictor(GOAL, of, SPACE, num_processes=2) as predictor:
        found = []
        for prediction in predictor.predict(left, None):
            found.append(prediction)
            if len(found) == 1:
                assert predictor._pool is not None
                for pid in list(predictor._pool._processes):
                    os.kill(pid, signal.SIGKILL)
    assert found == expected
