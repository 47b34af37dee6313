"""--repeat: intervals between runs, on simulated runs and on two real ones."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.command_line import benchmark, play_command
from rnb.record.run_folder import read
from tests.support.running import ROOT, tiny
from tests.support.simulated_campaigns import SimulatedPlayer
from tests.support.simulated_runs import simulate

SPEEDS = (1.0, 1.1, 0.9, 1.05)
RATE_PER_S = 180


@pytest.fixture(autouse=True)
def speeds(request: pytest.FixtureRequest) -> None:
    """The pipeline of a simulated run has another speed each time."""
    if "real" in request.node.name:
        return
    player: SimulatedPlayer = request.getfixturevalue("player")
    player.speeds = lambda number: SPEEDS[number - 1]


def play(command: Any, num_runs: int, *flags: str) -> int:
    return int(command("-v", "1000", "-mi", str(1e3 / RATE_PER_S), "--repeat", str(num_runs), *flags))


def row(lines: list[str], name: str) -> list[float]:
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return [float(cell) for cell in line.removeprefix(name).split()]


def means_ms(num_runs: int) -> list[float]:
    runs = [
        simulate(num_requests=1000, rate_per_s=RATE_PER_S, speed=speed, has_telemetry=False)
        for speed in SPEEDS[:num_runs]
    ]
    return [float((run.ends_ns - run.due_ns).mean()) / 1e6 for run in runs]


def test_intervals_between_runs(command: Any) -> None:
    status, lines = play(command, 4), command.lines
    assert (status in (0, 3), command.err) == (True, "")
    assert lines[0] == f"4 runs in {command.campaign}"
    assert [line.split(":")[0] for line in lines[1:5]] == [f"run {number} of 4" for number in (1, 2, 3, 4)]
    mean, margin, lowest, highest = row(lines, "end to end mean ms")
    expected = means_ms(4)
    assert mean == pytest.approx(np.mean(expected), abs=1e-3)
    assert margin == pytest.approx(3.1824 * np.std(expected, ddof=1) / 2, abs=1e-3)
    assert (lowest, highest) == pytest.approx((min(expected), max(expected)), abs=1e-3)
    assert len(row(lines, "end to end p99 ms")) == len(row(lines, "videos/s")) == 4
    assert not any("p99.9" in line for line in lines)  # too few requests for it


def test_one_run_has_no_interval(command: Any) -> None:
    play(command, 1)
    [line] = [line for line in command.lines if line.startswith("videos/s")]
    assert line.split()[2] == "-"
    assert command.lines[-1] == "± takes at least two runs"


def test_a_run_that_fails_is_the_last(player: SimulatedPlayer, command: Any) -> None:
    player.fails_at = 2
    assert play(command, 4) == 1
    problem = f"the run in {command.campaign / 'run2'} failed: step 1.0 was killed by SIGKILL"
    assert command.err == f"benchmark.py: {problem}\n"
    assert sum(line.startswith("run ") for line in command.lines) == 1
    assert [line for line in command.lines if line.startswith("videos/s")], "what is known is shown"


def test_a_signal_that_comes_when_a_run_is_over_ends_them_all(
    monkeypatch: pytest.MonkeyPatch, player: SimulatedPlayer, command: Any
) -> None:
    def play_until_ctrl_c(spec: Any, logs: Any, **_: Any) -> Any:
        outcome = player(spec, logs)
        if len(player.specs) == 2:
            signal.raise_signal(signal.SIGINT)
        return outcome

    monkeypatch.setattr(play_command, "play_and_judge", play_until_ctrl_c)
    assert play(command, 4, "--json") == 1
    assert command.err == "benchmark.py: interrupted\n"
    found = json.loads(command.out)
    assert (len(found["runs"]), found["problem"], len(player.specs)) == (1, "interrupted", 2)


def test_a_full_queue_is_a_failure_here(player: SimulatedPlayer, command: Any) -> None:
    player.full_at = 3
    assert play(command, 4) == 1
    assert command.err == "benchmark.py: frame queue 0 is full\n"
    assert row(command.lines, "end to end mean ms")[0] == pytest.approx(np.mean(means_ms(2)), abs=1e-3)


def test_as_json(command: Any) -> None:
    flags = ("-v", "1000", "-mi", str(1e3 / RATE_PER_S), "--repeat", "2", "--json")
    command(*flags)
    (line,) = command.lines
    found = json.loads(line)
    assert found["folder"] == str(command.campaign)
    assert [run["is_success"] for run in found["runs"]] == [True, True]


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
