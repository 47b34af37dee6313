"""The self-check: against ideal queues, against queues that theory does not describe, and as a run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import benchmark
from rnb import self_check
from rnb.config import load_config
from rnb.importer import import_class
from rnb.run_folder import Run
from rnb.schedule import Load
from rnb.self_check import CASES, CONFIGS, NUM_WARMUP, Case, SelfCheckError, compare, measure_overhead
from tests.support.ideal_queue import serve
from tests.support.running import ROOT
from tests.support.timed_runs import timed_run

IDS = [case.name for case in CASES]


def arrivals_of(case: Case) -> NDArray[np.float64]:
    load = Load(mean_interval_ms=case.mean_interval_ms, seed=case.seed)
    return load.draw(NUM_WARMUP + case.num_requests) / 1e6


def played(
    case: Case, *, hop_ms: float = 0, turnaround_ms: float = 0, arrivals_ms: NDArray[np.float64] | None = None
) -> Run:
    """What a run of the case gives where the harness costs just that."""
    arrivals_ms = arrivals_of(case) if arrivals_ms is None else arrivals_ms
    step = load_config(CONFIGS / case.config, per_gpu_queue=False).pipeline[0]
    options = {"seed": case.seed, **step.options} if case.is_exponential else step.options
    timed = import_class(step.model)(torch.device("cpu"), **options)
    services_ms = np.array([timed.service_ms(request) for request in range(len(arrivals_ms))])
    waits_ms, servers = serve(arrivals_ms + hop_ms, (services_ms + turnaround_ms).tolist(), case.num_servers)
    nothing = np.zeros(len(arrivals_ms))
    return timed_run(
        {
            "enqueue_filename": nothing,
            "runner0_start": hop_ms + waits_ms,
            "inference0_start": nothing,
            "inference0_finish": services_ms,
        },
        arrivals_ms=arrivals_ms,
        columns={
            "is_warmup": np.arange(len(arrivals_ms)) < NUM_WARMUP,
            "score": services_ms,
            "replica0": servers,
            "worker0": np.zeros(len(arrivals_ms), dtype=np.int32),
        },
    )


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_case_is_what_its_config_says(case: Case) -> None:
    (step,) = load_config(CONFIGS / case.config, per_gpu_queue=False).pipeline
    (group,) = step.queue_groups
    assert len(group.gpus) == case.num_servers
    assert list(step.options.values()) == [case.service_ms]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_an_ideal_harness_agrees_with_theory(case: Case) -> None:
    outcome = compare(case, played(case))
    assert outcome.problems == []
    assert outcome.overhead.hop_ms == pytest.approx(0, abs=1e-6)
    assert outcome.overhead.turnaround_ms == pytest.approx(0, abs=1e-6)
    for row in outcome.rows:
        # The schedule of the case was chosen so.
        assert row.measured_ms == pytest.approx(row.theory_ms, rel=0.02)
        assert row.with_overhead_ms == pytest.approx(row.theory_ms)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_cost_of_the_harness_is_measured_and_allowed_for(case: Case) -> None:
    run = played(case, hop_ms=0.4, turnaround_ms=0.3)
    overhead = measure_overhead(run, case.num_servers)
    assert overhead.hop_ms == pytest.approx(0.4, abs=0.05)
    assert overhead.turnaround_ms == pytest.approx(0.3, abs=0.05)
    outcome = compare(case, run)
    assert outcome.problems == []
    for row in outcome.rows:
        assert row.theory_ms < row.measured_ms < 1.1 * row.with_overhead_ms


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize(
    ("hop_ms", "turnaround_ms", "problem"),
    [
        (2.0, 0.0, "a free server takes a request after 2.0"),
        (0.0, 1.5, "a server loses between requests 1.5"),
    ],
)
def test_a_slow_harness_does_not_pass(case: Case, hop_ms: float, turnaround_ms: float, problem: str) -> None:
    outcome = compare(case, played(case, hop_ms=hop_ms, turnaround_ms=turnaround_ms))
    assert outcome.rows == []
    assert outcome.problems[0].startswith(f"{case.name}: {problem}")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_other_arrivals_than_theory_knows_do_not_pass(case: Case) -> None:
    """A client that sends at even gaps: requests wait less than after random ones."""
    load = Load(mean_interval_ms=case.mean_interval_ms, process="constant")
    even_ms = load.draw(NUM_WARMUP + case.num_requests) / 1e6
    outcome = compare(case, played(case, arrivals_ms=even_ms))
    assert f"{case.name} mean wait: the interval does not meet what theory says" in outcome.problems


def test_a_bursty_client_does_not_pass() -> None:
    (case, _) = CASES
    load = Load(mean_interval_ms=case.mean_interval_ms, seed=case.seed, process="gamma", burstiness=0.2)
    run = played(case, arrivals_ms=load.draw(NUM_WARMUP + case.num_requests) / 1e6)
    assert len(compare(case, run).problems) == 2


@pytest.mark.parametrize(("agrees", "status"), [(True, 0), (False, 3)])
def test_the_exit_status(agrees: bool, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "self_check", lambda logs: agrees)
    assert benchmark.main(["--self-check"]) == status


def test_a_run_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(logs: str) -> bool:
        raise SelfCheckError("M/D/1: step 0.0 was killed")

    monkeypatch.setattr(self_check, "self_check", fail)
    assert benchmark.main(["--self-check"]) == 1
    assert capsys.readouterr().err == "benchmark.py: M/D/1: step 0.0 was killed\n"


SHORT_CHECK = """
import dataclasses, sys
from rnb.self_check import CASES, self_check
if __name__ == "__main__":
    short = [dataclasses.replace(case, num_requests=300, seed=seed) for case, seed in zip(CASES, (106, 73))]
    sys.exit(0 if self_check(sys.argv[1], short) else 3)
"""
"""The seeds are chosen for so few requests as those of CASES are for many."""


def test_real_runs_agree_with_theory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHORT_CHECK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode in (0, 3), done.stderr
    assert len(list(tmp_path.iterdir())) == len(CASES)
    verdict, problems = lines[len(lines) - 1 - done.stdout.count("\n  ")], lines[-done.stdout.count("\n  ") :]
    if done.returncode == 0:
        assert lines[-1] == "VALID"
        assert (
            len(re.findall(r"^M/[DM]/\d (mean wait|p99 of the wait) .* agrees$", done.stdout, re.MULTILINE))
            == 4
        )
    else:
        # A machine with other work does not measure well, and says so.
        assert verdict == "INVALID"
        assert all(problem.endswith("run it where nothing else does") for problem in problems), done.stdout
