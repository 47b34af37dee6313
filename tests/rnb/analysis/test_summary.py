"""The figures of a run: counts, rates and latencies of its measured requests."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.analysis.statistics import Durations
from rnb.analysis.summary import SUMMARY_VERSION, Goodput, summarize
from rnb.contract.events import END_TO_END, SENT, Event, EventKind
from rnb.record.run import Run
from rnb.record.run_folder import read
from rnb.show.text.seed_text import average_lines
from tests.support.sample_runs import END_TO_END_MS, GAP_MS, write_run, write_seed_run
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def evenly(num_requests: int, latencies_s: float | np.ndarray = 0.5, **changes: Any) -> Run:
    """A request a second, served one after the other."""
    services = np.full(num_requests, latencies_s) if isinstance(latencies_s, float) else latencies_s
    return single_server_run(np.arange(float(num_requests)), services, **changes)


def test_the_counts_and_the_throughput() -> None:
    run = evenly(12)
    run.requests["status"][7:] = ["failed", "failed", "refused", "unfinished", "unfinished"]
    run.times[SENT][[9, 11]] = 0
    run.meta.end_epoch_ns = run.start_ns + 2_000_000_000
    found = summarize(run)
    assert (found.num_scheduled, found.num_sent, found.num_refused) == (12, 10, 1)
    assert (found.num_failed, found.num_finished, found.seconds) == (2, 7, 2)
    assert (found.videos_per_s, found.clips_per_s) == (3.5, 7.0)


def test_no_figure_counts_the_warm_up() -> None:
    latencies = np.where(np.arange(1000) < 100, 0.9, 0.5)
    run = evenly(1000, latencies)
    run.requests["is_warmup"] = np.arange(1000) < 100
    run.requests["status"][3] = "failed"
    found = summarize(run)
    assert (found.num_warmup, found.num_scheduled, found.num_finished, found.num_failed) == (100, 900, 900, 0)
    assert found.seconds == pytest.approx(899.5)
    assert found.videos_per_s == pytest.approx(900 / 899.5)
    assert (found.end_to_end.count, found.end_to_end.max_ms) == (900, 500)


def test_only_finished_requests_have_durations() -> None:
    run = evenly(3)
    run.requests["status"][1] = "failed"
    run.times[Event(EventKind.FINISHED, 0)][1] = 0
    assert summarize(run).end_to_end.count == 2
    assert summarize(run).end_to_end.mean_ms == pytest.approx(500)


def test_goodput_counts_what_finished_within_the_bound() -> None:
    latencies = np.where(np.arange(400) % 4 == 0, 0.3, 0.1)
    run = evenly(400, latencies, args={"slo": 200})
    run.requests["status"][1] = "failed"
    found = summarize(run)
    seconds = 399.1
    assert found.goodput == Goodput(slo_ms=200, per_s=299 / seconds, share=299 / 400)


def test_a_latency_of_just_the_bound_is_within_it() -> None:
    goodput = summarize(evenly(4, 0.2, args={"slo": 200})).goodput
    assert goodput
    assert goodput.share == 1


@pytest.mark.parametrize("args", [{}, {"slo": None}])
def test_no_goodput_without_a_bound(args: dict[str, Any]) -> None:
    assert summarize(evenly(4, args=args)).goodput is None


def cold(num_requests: int = 4000, num_cold: int = 600) -> Run:
    """Services that are five times as long, more than comes in, at first, at a load of 0.3 later on."""
    random = np.random.default_rng(0)
    services_ms = random.exponential(6, num_requests) * np.where(np.arange(num_requests) < num_cold, 5, 1)
    return single_server_run(np.cumsum(random.exponential(0.02, num_requests)), services_ms / 1e3)


def test_a_cold_start_is_in_no_figure_but_in_those_of_the_whole_phase() -> None:
    run = cold()
    found, latency_ms = summarize(run), run.latency_ms
    second_half_ms = float(latency_ms[2000:].mean())
    assert found.whole_phase
    assert found.whole_phase.end_to_end.mean_ms == pytest.approx(latency_ms.mean())
    assert latency_ms.mean() > 10 * second_half_ms
    assert found.end_to_end.mean_ms == pytest.approx(second_half_ms, rel=0.1)
    assert found.num_cut + found.num_scheduled == found.whole_phase.num_scheduled == 4000
    assert found.num_cut >= 600
    assert found.num_warmup == 0
    assert found.seconds < found.whole_phase.seconds
    assert found.videos_per_s == pytest.approx(50, rel=0.1)
    assert found.clips_per_s == pytest.approx(2 * found.videos_per_s)
    assert found.littles_law
    assert abs(found.littles_law.relative_deviation) < 0.05


def test_json_has_the_steady_figures_first_and_the_whole_phase_beside_them() -> None:
    data = json.loads(json.dumps(summarize(cold()).to_json(), allow_nan=False))
    assert data["durations"][-1]["mean_ms"] < data["whole_phase"]["end_to_end"]["mean_ms"] / 10
    assert data["whole_phase"]["end_to_end"]["name"] == "end to end"
    assert data["steady_state"]["is_cut"] is True


def test_a_run_without_a_cut_has_one_phase_only() -> None:
    random = np.random.default_rng(0)
    run = single_server_run(np.cumsum(random.exponential(0.8, 3000)), random.exponential(1, 3000))
    found = summarize(run)
    assert (found.steady_state.is_steady, found.whole_phase, found.num_cut) == (False, None, 0)
    assert found.end_to_end.intervals_ms["mean"] is None  # of which state would it be?
    assert found.requests_for_intervals == {}


def test_a_bulk_run_without_its_cold_start() -> None:
    services = np.random.default_rng(0).gamma(4, 0.25, 1000) * np.where(np.arange(1000) < 100, 5, 1)
    found = summarize(single_server_run(np.zeros(1000), services, args={"slo": 100}))
    assert found.whole_phase
    assert found.videos_per_s == pytest.approx(1, rel=0.05)
    assert found.whole_phase.videos_per_s < 0.8
    assert found.littles_law is None
    assert found.end_to_end.intervals_ms["mean"] is None


def test_how_many_requests_an_interval_takes() -> None:
    random = np.random.default_rng(0)
    run = single_server_run(np.cumsum(random.exponential(1 / 0.8, 2000)), random.exponential(1, 2000))
    needed = summarize(run).requests_for_intervals
    assert needed["mean"] == pytest.approx(12.5**2 * 2 / 0.2**2, rel=0.4)
    assert needed["p99"] == pytest.approx(needed["mean"] * 1600 / 12.5**2, rel=0.01)


def test_utilization_and_queues_are_in_it() -> None:
    found = summarize(simulate(has_telemetry=False))
    assert [(entry.step, entry.replica) for entry in found.utilizations] == [(0, 0), (1, 0), (1, 1)]
    assert found.utilizations[0].busy == pytest.approx(4 * 0.180, abs=0.03)  # ms a request, requests a ms
    assert [depth.step for depth in found.queue_depths] == [0, 1]
    assert found.littles_law
    assert found.littles_law.num_in_system > sum(depth.mean for depth in found.queue_depths)


def test_a_run_of_one_request() -> None:
    found = summarize(evenly(1))
    assert (found.num_finished, found.videos_per_s, found.end_to_end.mean_ms) == (1, 2, 500)
    assert found.end_to_end.percentiles_ms == {
        "p50": 500,
        "p90": None,
        "p95": None,
        "p99": None,
        "p99.9": None,
    }


def test_a_run_in_which_nothing_finished() -> None:
    run = evenly(3)
    run.requests["status"][:] = "unfinished"
    for event in run.events[1:]:
        run.times[event][:] = 0
    found = summarize(run)
    names = ["p50", "p90", "p95", "p99", "p99.9"]
    assert (found.num_finished, found.num_sent, found.videos_per_s, found.littles_law) == (0, 0, 0, None)
    assert found.end_to_end == Durations(
        stage=END_TO_END,
        count=0,
        mean_ms=None,
        percentiles_ms=dict.fromkeys(names),
        max_ms=None,
        intervals_ms=dict.fromkeys(["mean", *names]),
    )


def test_a_run_that_never_started_has_no_rates() -> None:
    run = evenly(3)
    run.requests["status"][:] = "unfinished"
    run.meta.end_epoch_ns = run.start_ns
    found = summarize(run)
    assert (found.videos_per_s, found.clips_per_s, found.goodput, found.littles_law) == (0, None, None, None)
    assert (found.utilizations, found.queue_depths) == ([], [])


def test_a_folder_that_was_read(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    found = summarize(read(folder))
    assert found.end_to_end.mean_ms == pytest.approx(END_TO_END_MS)
    assert found.utilizations[0].busy == pytest.approx(0.4, rel=0.02)  # 4 ms a request, every 10 ms
    assert found.queue_depths[0].mean == pytest.approx(0.1, rel=0.02)
    law = found.littles_law
    assert law
    assert law.num_in_system == pytest.approx(END_TO_END_MS / GAP_MS, rel=0.02)
    assert json.loads((folder / "summary.json").read_text()) == json.loads(json.dumps(found.to_json()))


def test_a_folder_of_snuspl_rnb(tmp_path: Path) -> None:
    found = summarize(read(write_seed_run(tmp_path / "seed")))
    assert (found.num_finished, found.num_scheduled, found.clips_per_s) == (2, 2, None)
    assert found.end_to_end.mean_ms == pytest.approx(1411.574)
    assert found.utilizations == []
    assert [depth.step for depth in found.queue_depths] == [0, 1]
    assert found.littles_law
    assert found.littles_law.arrivals_per_s == pytest.approx(2 / 0.09)


def test_it_is_json_of_version_3() -> None:
    data = json.loads(json.dumps(summarize(evenly(300)).to_json(), allow_nan=False))
    assert (data["schema_version"], SUMMARY_VERSION, data["num_finished"]) == (3, 3, 300)
    assert data["durations"][-1]["name"] == "end to end"
    assert data["durations"][-1]["percentiles_ms"]["p95"] == 500
    assert data["durations"][-1]["intervals_ms"]["p50"] == {"low": 500, "high": 500}
    assert data["whole_phase"] is None
    assert data["steady_state"]["is_steady"] is True


def test_steps_can_be_called_by_other_names() -> None:
    unnamed = summarize(evenly(3), step_names=()).to_json()["durations"]
    named = summarize(evenly(3)).to_json()["durations"]
    assert "step 0" in [entry["name"] for entry in unnamed]
    assert "step 0 A" in [entry["name"] for entry in named]


def test_a_million_requests_take_a_few_seconds() -> None:
    run = simulate(num_requests=1_000_000, has_telemetry=False)
    start = time.process_time()
    found = summarize(run)
    average_lines(run)
    assert time.process_time() - start < 12  # 2 to 3 s where nothing else runs
    assert found.num_finished == 1_000_000
