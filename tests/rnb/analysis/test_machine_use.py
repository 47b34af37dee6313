"""Who used the machine, from telemetry that is made up: all along, from half time, for a moment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rnb.analysis.machine_use import cpu_uses, others_use
from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.verdict import Judgement, judge
from rnb.record.run import Run
from tests.support.timed_runs import NUM_CPUS, quiet_cpus, timed_run

SECONDS = 10


def run_of(others_percent: Sequence[float] = (0.0,), **provenance: Any) -> Run:
    """A request every 10 ms, each served in 9, with others at work in equal parts of the run."""
    num_requests = 100 * SECONDS
    run = timed_run(
        {
            "enqueue_filename": np.full(num_requests, 0.1),
            "runner0_start": np.full(num_requests, 0.1),
            "inference0_start": np.zeros(num_requests),
            "inference0_finish": np.full(num_requests, 9.0),
        },
        provenance={"num_cpus": NUM_CPUS, **provenance},
    )
    run.tables["telemetry"] = quiet_cpus(run.end_ns, others_percent)
    return run


def only_finding(run: Run, reason: Reason) -> Finding:
    verdict = judge(run)
    assert [finding.reason for finding in verdict.findings] == [reason]
    return verdict.findings[0]


def test_nobody_else() -> None:
    verdict = judge(run_of())
    assert (verdict.judgement, verdict.notes) == (Judgement.VALID, ())


@pytest.mark.parametrize(
    ("others_percent", "highest", "mean"),
    [
        ((70.0,), "70%", "70%"),
        ((0.0, 70.0), "70%", "3[456]%"),
        ((0.0,) * 9 + (70.0,), "7.%|6.%", "[78]%"),
        ((26.0,), "26%", "26%"),
    ],
)
def test_others_make_a_run_invalid(others_percent: Sequence[float], highest: str, mean: str) -> None:
    others = [{"name": "stress", "pid": 7, "cpu_s": 3.0}, {"name": "python3", "pid": 9, "cpu_s": 2.0}]
    found = only_finding(run_of(others_percent, other_processes=others), Reason.OTHER_LOAD)
    pattern = rf"others took up to ({highest}) of the CPUs \(({mean}) on average\) for 1.0 s; 25% may be"
    assert re.fullmatch(rf"{pattern}: stress \(pid 7\), python3 \(pid 9\)", found.seen)


def test_a_little_is_noted() -> None:
    verdict = judge(run_of((0.0, 15.0)))
    assert verdict.is_valid
    (note,) = verdict.notes
    assert note.startswith("others took up to 15% of the CPUs (")
    assert judge(run_of((9.0,))).notes == ()


def test_a_moment_does_not_count() -> None:
    """Half a second of 100 s at 90 %, so 4.5 % of the stretch of 10 s that counts."""
    run = run_of()
    run.times[run.events[-1]][-1] += 90_000_000_000
    run.meta.end_epoch_ns += 90_000_000_000
    run.tables["telemetry"] = quiet_cpus(run.end_ns, (*[0.0] * 100, 90.0, *[0.0] * 99))
    (cpus,) = others_use(run)
    assert cpus.highest == pytest.approx(0.045, abs=0.01)


def test_what_is_outside_of_the_measured_phase_does_not_count() -> None:
    run = run_of((90.0, 0.0))
    run.requests["is_warmup"][:600] = True
    (cpus,) = others_use(run)
    assert cpus.highest == pytest.approx(0.0, abs=1e-9)


def test_what_the_host_of_a_virtual_machine_takes_is_taken_by_others() -> None:
    run = run_of()
    run.tables["telemetry"]["cpu.steal_percent"][:] = 40.0
    assert "others took up to 40% of the CPUs" in only_finding(run, Reason.OTHER_LOAD).seen


def test_a_process_that_has_ended_uses_nothing() -> None:
    run = run_of()
    telemetry = run.tables["telemetry"]
    telemetry["process.client.cpu_percent"][30:] = np.nan
    telemetry["cpu.percent"][30:] -= 5.0 / NUM_CPUS
    ((_, found),) = cpu_uses(run)
    np.testing.assert_allclose(found.others, 0.0, atol=1e-9)


def test_what_the_runs_processes_have_started_is_not_others() -> None:
    run = run_of((70.0,))
    telemetry = run.tables["telemetry"]
    telemetry["children.cpu_percent"] = np.full(len(telemetry["time_ns"]), 70.0 * NUM_CPUS)
    assert judge(run).judgement is Judgement.VALID


def test_without_telemetry_it_is_not_known() -> None:
    run = run_of()
    del run.tables["telemetry"]
    assert judge(run).headline == "NOT JUDGED: other load not looked at"
    assert judge(run).missing[0].advice == "a run without --no-telemetry"


def test_a_gpu_that_others_use() -> None:
    on_gpus = [{"gpu": gpu, "name": f"train{gpu}", "pid": 40 + gpu} for gpu in (0, 1)]
    hog = {"name": "stress", "pid": 7, "cpu_s": 3.0}
    run = run_of(other_gpu_processes=on_gpus, other_processes=[hog])
    telemetry = run.tables["telemetry"]
    telemetry["gpu1.others_percent"] = np.full(len(telemetry["time_ns"]), 55.0)
    telemetry["gpu0.others_percent"] = np.full(len(telemetry["time_ns"]), np.nan)
    seen = only_finding(run, Reason.OTHER_LOAD).seen
    assert seen == "others took up to 55% of gpu1 (55% on average) for 1.0 s; 25% may be: train1 (pid 41)"


def with_clocks(clock_mhz: Sequence[float], *, sm_percent: float = 90.0, mask: int = 0) -> Run:
    run = run_of()
    telemetry = run.tables["telemetry"]
    count = len(telemetry["time_ns"])
    telemetry["gpu0.sm_clock_mhz"] = np.array(clock_mhz)[np.arange(count) * len(clock_mhz) // count]
    telemetry["gpu0.sm_percent"] = np.full(count, sm_percent)
    telemetry["gpu0.throttle_reasons"] = np.full(count, float(mask))
    return run


def test_clocks_that_drop_without_a_reason() -> None:
    found = only_finding(with_clocks((1980.0, 1980.0, 1500.0)), Reason.CLOCKS_DROPPED)
    assert found.seen == (
        "SM clocks dropped while busy: gpu0 up to 24% under its maximum of the run, though no throttle"
        " reason says why; 10% may be"
    )
    noted = judge(with_clocks((1980.0, 1850.0)))
    assert noted.is_valid
    assert noted.notes == ("SM clocks dropped while busy: gpu0 up to 7% under its maximum of the run",)


@pytest.mark.parametrize("changes", [{"sm_percent": 20.0}, {"mask": 0x04}])
def test_clocks_of_an_idle_gpu_or_one_at_its_power_cap_may_be_low(changes: Any) -> None:
    verdict = judge(with_clocks((1980.0, 1200.0), **changes))
    assert not [note for note in verdict.notes if "clocks dropped" in note]
    assert verdict.is_valid


def test_steady_clocks_are_not_mentioned() -> None:
    assert judge(with_clocks((1980.0, 1965.0))).notes == ()
