"""--repeat: between-run intervals, on simulated runs and on two real ones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmark
from rnb import repeat
from rnb.analysis.summary import summarize
from rnb.analysis.verdict import judge
from rnb.arguments import parse_args
from rnb.campaign import RunFailed
from rnb.report import Result
from rnb.run_folder import read
from tests.support.running import ROOT, tiny
from tests.support.simulated_runs import simulate


class SimulatedCampaign:
    """Plays runs of a pipeline whose speed is another one each time."""

    folder = Path("logs/simulated-repeat")
    speeds = (1.0, 1.1, 0.9, 1.05)
    fails_at = -1
    full_at = -1

    def __init__(self, args: argparse.Namespace, kind: str) -> None:
        assert kind == "repeat"
        self._speeds, self._number = iter(self.speeds), 0

    def draw(self) -> bool:
        return True

    def run(self) -> Result:
        self._number += 1
        if self._number == self.fails_at:
            raise RunFailed("the run in logs/x failed")
        run = simulate(num_requests=1000, speed=next(self._speeds), has_telemetry=False, flags={"slo": None})
        run.args["percentile"] = None
        problem = "frame queue 0 is full" if self._number == self.full_at else ""
        return Result(run=run, summary=summarize(run), verdict=judge(run), problem=problem)


@pytest.fixture(autouse=True)
def campaign(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "real" not in request.node.name:
        monkeypatch.setattr(repeat, "Campaign", SimulatedCampaign)


def play(capsys: pytest.CaptureFixture[str], num_runs: int) -> tuple[int, list[str], str]:
    status = repeat.repeat(parse_args(["--repeat", str(num_runs)]))
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def row(lines: list[str], name: str) -> list[float]:
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return [float(cell) for cell in line.removeprefix(name).split()]


def means_ms(num_runs: int) -> list[float]:
    runs = [
        simulate(num_requests=1000, speed=speed, has_telemetry=False)
        for speed in SimulatedCampaign.speeds[:num_runs]
    ]
    return [float((run.ends_ns - run.times["scheduled"]).mean()) / 1e6 for run in runs]


def test_intervals_between_runs(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, err = play(capsys, 4)
    assert (status in (0, 3), err) == (True, "")
    assert [line.split(":")[0] for line in lines[1:5]] == [f"run {number} of 4" for number in (1, 2, 3, 4)]
    mean, margin, lowest, highest = row(lines, "end to end mean ms")
    expected = means_ms(4)
    assert mean == pytest.approx(np.mean(expected), abs=1e-3)
    assert margin == pytest.approx(3.1824 * np.std(expected, ddof=1) / 2, abs=1e-3)
    assert (lowest, highest) == pytest.approx((min(expected), max(expected)), abs=1e-3)
    assert len(row(lines, "end to end p99 ms")) == len(row(lines, "videos/s")) == 4
    assert not any("p99.9" in line for line in lines)  # too few requests for it


def test_one_run_has_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = play(capsys, 1)
    [line] = [line for line in lines if line.startswith("videos/s")]
    assert line.split()[2] == "-"
    assert lines[-1] == "± takes at least two runs"


def test_a_run_that_fails_is_the_last(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedCampaign, "fails_at", 2)
    status, lines, err = play(capsys, 4)
    assert (status, err) == (1, "benchmark.py: the run in logs/x failed\n")
    assert sum(line.startswith("run ") for line in lines) == 1


def test_a_full_queue_is_a_failure_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedCampaign, "full_at", 3)
    status, lines, err = play(capsys, 4)
    assert (status, err) == (1, "benchmark.py: frame queue 0 is full\n")
    assert row(lines, "end to end mean ms")[0] == pytest.approx(np.mean(means_ms(2)), abs=1e-3)


def test_real_runs_play_the_same_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    config, videos = tmp_path / "config.json", tmp_path / "videos"
    config.write_text(json.dumps([tiny("Load"), tiny("Classify")]))
    videos.mkdir()
    (videos / "0.mp4").touch()
    flags = f"-c {config} --data {videos} --logs {tmp_path / 'logs'} --device cpu --no-telemetry -mi 5 -v 40"
    status = benchmark.main([*flags.split(), "--repeat", "2", "--html"])
    out, err = capsys.readouterr()
    assert (status in (0, 3), err) == (True, "")
    assert "START!" not in out
    [campaign] = (tmp_path / "logs").iterdir()
    runs: list[Any] = [read(folder) for folder in campaign.iterdir() if folder.is_dir()]
    assert len(runs) == 2
    assert "RnB: 2 runs" in (campaign / "report.html").read_text()
    assert not any((run.folder / "report.html").exists() for run in runs)
    assert np.array_equal(*(run.requests["arrival_ns"] for run in runs))
    assert row(out.splitlines(), "videos/s")[1] >= 0
