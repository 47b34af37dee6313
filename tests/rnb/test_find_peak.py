"""--find-peak: on runs that are only simulated, and on a short real one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmark
from rnb import console, find_peak
from rnb.analysis.summary import summarize
from rnb.analysis.verdict import judge
from rnb.arguments import parse_args
from rnb.campaign import RunFailed
from rnb.driver import UsageError
from rnb.report import Result
from rnb.run_folder import Run, read
from rnb.stop import Termination
from tests.support.running import ROOT, tiny
from tests.support.simulated_runs import simulate

MOST_PER_S = 250.0
"""What the simulated loader can take."""


class SimulatedCampaign:
    """In the place of real runs; a rate far beyond what the pipeline takes fills a queue."""

    folder = Path("logs/simulated-peak")
    runs: list[dict[str, Any]]
    late_from_per_s = np.inf
    fails_at = -1

    def __init__(self, args: argparse.Namespace, kind: str) -> None:
        assert kind == "peak"
        self._args, self.runs = args, []
        SimulatedCampaign.last = self

    last: SimulatedCampaign

    def draw(self) -> bool:
        return True

    def run(self, **changes: Any) -> Result:
        self.runs.append(changes)
        if len(self.runs) == self.fails_at:
            raise RunFailed("the run in logs/x failed")
        args = {**vars(self._args), **changes}
        interval_ms = args["mean_interval_ms"] or 0.01
        rate_per_s = 1e3 / interval_ms
        num_requests = args["videos"] or round(args["duration"] * rate_per_s)
        run = simulate(num_requests=num_requests, rate_per_s=rate_per_s, has_telemetry=False, flags=args)
        run.args["mean_interval_ms"] = args["mean_interval_ms"]
        if args["mean_interval_ms"] and rate_per_s > 2 * MOST_PER_S:
            self._fill_a_queue(run)
        if rate_per_s > self.late_from_per_s:
            run.times["enqueue_filename"] = run.times["scheduled"] + 5_000_000
        problem = run.meta.message if run.meta else ""
        return Result(run=run, summary=summarize(run), verdict=judge(run), problem=problem)

    def _fill_a_queue(self, run: Run) -> None:
        assert run.meta
        run.requests["status"][100:] = "refused"
        run.meta.termination_flag = Termination.FRAME_QUEUE_FULL
        run.meta.is_success, run.meta.message = False, "frame queue 0 is full"


@pytest.fixture(autouse=True)
def campaign(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "real" not in request.node.name:
        monkeypatch.setattr(find_peak, "Campaign", SimulatedCampaign)


def search(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, list[str]]:
    args = parse_args(["--find-peak", "--slo", "60", "-v", "4000", "--min-duration", "0", *flags])
    status = find_peak.find_peak(args)
    return status, capsys.readouterr().out.splitlines()


def peak_per_s(lines: list[str]) -> float:
    [line] = [line for line in lines if line.startswith("peak: ")]
    return float(line.split()[1])


def test_the_peak_of_a_simulated_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = search(capsys, "-mi", "20")
    assert status == 0
    peak = peak_per_s(lines)
    assert 150 < peak < MOST_PER_S
    runs = SimulatedCampaign.last.runs
    assert [run["mean_interval_ms"] for run in runs[:4]] == [20, 10, 5, pytest.approx(50**0.5)]
    probes = [line for line in lines if "requests/s: p99 " in line]
    assert len(probes) == len(runs)
    assert all(line.endswith(("passes", "requests/s: p99 -")) or "fails: " in line for line in probes)
    start = next(index for index, line in enumerate(lines) if line.startswith("requests/s "))
    rates = [float(line.split()[0]) for line in lines[start + 1 : start + 1 + len(runs)]]
    assert rates == sorted(rates)
    assert rates[0] == 50
    assert peak in rates
    assert rates[rates.index(peak) + 1] / peak <= 1.03


def test_it_begins_at_half_of_what_a_bulk_run_gives(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = search(capsys)
    assert status == 0
    bulk, first = SimulatedCampaign.last.runs[:2]
    assert (bulk["mean_interval_ms"], bulk["videos"], bulk["slo"]) == (0, 500, None)
    assert first["mean_interval_ms"] == pytest.approx(2e3 / MOST_PER_S, rel=0.1)
    assert "when all come at once; the search begins at half of that" in lines[1]
    assert 150 < peak_per_s(lines) < MOST_PER_S


def test_a_full_queue_is_a_rate_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = search(capsys, "-mi", "1.5")  # 667 requests/s
    assert status == 0
    assert "fails: requests lost, queue full" in lines[1] or "fails: queue full" in lines[1]
    assert 150 < peak_per_s(lines) < MOST_PER_S


def test_a_bound_that_no_rate_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = search(capsys, "-mi", "20", "--slo", "2")
    assert status == 3
    assert lines[-1] == "no peak: p99 within 2 ms is not kept even at 3.12 requests/s"


def test_a_run_that_fails_ends_the_search(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedCampaign, "fails_at", 3)
    status = find_peak.find_peak(parse_args(["--find-peak", "--slo", "60", "-v", "4000", "-mi", "20"]))
    assert status == 1
    assert capsys.readouterr().err == "benchmark.py: the run in logs/x failed\n"


def test_a_late_client_is_not_taken_for_the_pipelines_limit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedCampaign, "late_from_per_s", 80.0)
    status, lines = search(capsys, "-mi", "20")
    assert status == 0
    assert peak_per_s(lines) <= 80
    assert lines[-1] == "  the client could not keep up, not the pipeline: --clients 2"


def test_short_probes_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = search(capsys, "-mi", "20", "--min-duration", "600")
    assert lines[-1].endswith("s of load; VALID runs take 600 s: --duration 600")


def test_too_few_requests_for_the_percentile() -> None:
    with pytest.raises(
        UsageError, match=r"-v 458: --find-peak needs at least 459 requests to show that p99 is"
    ):
        find_peak.find_peak(parse_args(["--find-peak", "--slo", "60", "-v", "458"]))
    with pytest.raises(
        UsageError, match=r"--duration 5: too short at 50 requests/s: 250 requests, and p99 takes"
    ):
        find_peak.find_peak(parse_args(["--find-peak", "--slo", "900", "--duration", "5", "-mi", "20"]))


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json=True)
    try:
        status, lines = search(capsys, "-mi", "20")
    finally:
        console.configure()
    assert status == 0
    found = json.loads(lines[0])
    assert found["passing"]["rate_per_s"] < found["failing"]["rate_per_s"]
    assert len(found["probes"]) == len(SimulatedCampaign.last.runs)
    assert found["folder"] == "logs/simulated-peak"


def test_a_real_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a resolution so coarse that the first doubling that fails ends it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(find_peak, "RESOLUTION", 1.0)
    config, videos = tmp_path / "config.json", tmp_path / "videos"
    config.write_text(json.dumps([tiny("Load"), tiny("Classify", busy_ms=10)]))
    videos.mkdir()
    (videos / "0.mp4").touch()
    flags = (
        f"-c {config} --data {videos} --logs {tmp_path / 'logs'} --device cpu --no-telemetry -mi 16 -v 100"
    )
    status = benchmark.main([*flags.split(), "--find-peak", "--slo", "100", "--percentile", "50"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    [campaign] = (tmp_path / "logs").iterdir()
    assert campaign.name.endswith("-peak")
    runs = [read(folder) for folder in campaign.iterdir()]
    assert len(runs) == out.count(" requests/s: p50 ") >= 2
    unit = [run.requests["arrival_ns"] / run.args["mean_interval_ms"] for run in runs]
    assert np.allclose(unit[0], unit, rtol=1e-6)
    assert not any(run.args["find_peak"] for run in runs)
