"""benchmarks/planned_placements.py: profile, draw, play, go on, and work it out anew without playing."""

from __future__ import annotations

import itertools
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import planned_placements
from benchmarks.planned_placements import DRAWN, PLAYED, RESULT, TABLE, main
from benchmarks.prediction_errors import Figures, Row, summarize
from rnb.command_line import quiet_run
from tests.support.known_harness import Harness

CORES = len(os.sched_getaffinity(0))
STEPS: list[dict[str, Any]] = [
    {
        "model": "tests.support.timed_steps.Source",
        "gpus": [-1],
        "fixed_ms": 3,
        "choices": {"gpus": [[-1], [-1, -1]]},
    },
    {
        "model": "tests.support.timed_steps.ChangeOne",
        "gpus": [-1],
        "fixed_ms": 6,
        "choices": {"gpus": [[-1], [-1, -1], [-1, -1, -1]], "fixed_ms": [4, 6]},
    },
]


def command(monkeypatch: pytest.MonkeyPatch, folder: Path, *flags: str) -> int:
    path = folder.parent / "pipeline.json"
    path.write_text(json.dumps({"video_path_iterator": "models.queueing.model.Requests", "pipeline": STEPS}))
    usual = ("-c", str(path), "--cores", str(CORES), "--device", "cpu", "--placements", "6")
    monkeypatch.setattr(sys, "argv", ["planned_placements.py", str(folder), *usual, *flags])
    return main()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes whenever it is looked at, however busy the machine is."""
    seconds = itertools.count()
    monkeypatch.setattr(planned_placements, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))


def lines_of(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / PLAYED).read_text().splitlines()]


@pytest.mark.usefixtures("clock")
def test_what_is_foreseen_is_found_and_a_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The harness is one whose calls take what the config says, so all errors are small."""
    harness = Harness(lambda spec, step: spec.config.data["pipeline"][step]["fixed_ms"], cores=CORES)
    monkeypatch.setattr(quiet_run, "play_and_judge", harness)
    folder = tmp_path / "found"
    assert command(monkeypatch, folder, "--budget", "0.8") == 0
    drawn, first = json.loads((folder / DRAWN).read_text()), len(lines_of(folder))
    assert len(drawn) == 6
    configs = [json.dumps(one["config"]) for one in drawn]
    assert len(set(configs)) == 6
    profiled = [json.dumps(spec.config.data) for spec in harness.specs if spec.load.arrivals != "trace"]
    assert not set(configs) & set(profiled)
    assert command(monkeypatch, folder, "--budget", "1") == 0
    assert json.loads((folder / DRAWN).read_text()) == drawn
    assert 0 < first < len(lines_of(folder))
    assert {one["number"] for one in lines_of(folder)} == set(range(6))
    found = json.loads((folder / RESULT).read_text())
    assert found["placements"] == 6
    assert found["throughput, worst"] < 0.03
    assert found["p99 there, worst"] < 0.1
    assert found["Kendall's tau of the throughputs"] > 0.8
    num_played = len(harness.specs)
    (folder / TABLE).unlink()
    assert command(monkeypatch, folder, "--budget", "0") == 0
    assert len(harness.specs) == num_played
    assert "| placement |" in (folder / TABLE).read_text()
    assert "throughput, median of |error|" in capsys.readouterr().out


@pytest.mark.usefixtures("clock")
def test_a_run_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harness = Harness(lambda spec, step: spec.config.data["pipeline"][step]["fixed_ms"], cores=CORES)

    def fails_with_three(spec: Any, logs: Path, **more: Any) -> Any:
        played = harness(spec, logs, **more)
        groups = spec.config.data["pipeline"][1].get("queue_groups", [{"gpus": []}])
        if spec.load.arrivals == "trace" and len(groups[0]["gpus"]) == 3:
            return replace(played, problem="no room")
        return played

    monkeypatch.setattr(quiet_run, "play_and_judge", fails_with_three)
    folder = tmp_path / "found"
    assert command(monkeypatch, folder, "--budget", "2") == 0
    problems = [one for one in lines_of(folder) if "problem" in one]
    assert problems
    assert all("no room" in one["problem"] for one in problems)
    assert any("figures" in one for one in lines_of(folder))
    assert "no room" in capsys.readouterr().out


def test_real_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = (
        "--budget",
        "0.3",
        "--profile-budget",
        "0.01",
        "--burst-seconds",
        "0.3",
        "--paced-seconds",
        "0.5",
    )
    assert command(monkeypatch, tmp_path / "found", *flags) == 0
    found = json.loads((tmp_path / "found" / RESULT).read_text())
    assert found["placements"] >= 1
    assert all(run[0] > 0 and run[2] >= run[1] > 0 for row in found["rows"] for run in row["runs"])


def test_errors_order_and_regret() -> None:
    rows = [
        Row("a", Figures(110, 10, 33), [Figures(100, 10, 30), Figures(102, 10, 30), Figures(90, 10, 36)], 50),
        Row("b", Figures(60, 10, 50), [Figures(50, 10, 40)], 45),
        Row("c", Figures(55, 10, 20), [Figures(80, 10, 20)], 20),
        Row("d", Figures(20, 10, 20), [Figures(125, 10, 25)], 20),
    ]
    found = summarize(rows)
    assert found["throughput, median of |error|"] == pytest.approx((0.2 + 0.3125) / 2)
    assert found["placements below 80 % utilization"] == 3
    assert found["p99 there, worst"] == pytest.approx(0.2)
    assert found["Kendall's tau of the throughputs"] == pytest.approx(-1 / 3)
    assert found["regret of the best predicted"] == pytest.approx(1 - 100 / 125)
    assert found["two equal runs apart, throughput"] == pytest.approx(102 / 90 - 1)
    assert planned_placements.LOADS[-1] < 0.8
