"""optimize.py: the whole command on pipelines of the CPU, what it leaves behind, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns.outcome import Outcome, play_and_judge
from rnb.command_line import optimize, quiet_run
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from rnb.pipeline.config import read_config
from rnb.planner.memory import BEST, PLAYED, SCREENED, Memory
from rnb.spec import RunSpec

STEPS = [
    {"model": "tests.support.timed_steps.Source", "gpus": [-1], "fixed_ms": 2},
    {
        "model": "tests.support.timed_steps.ChangeOne",
        "gpus": [-1],
        "fixed_ms": 6,
        "choices": {"row_ms": [0.5]},
    },
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps({"video_path_iterator": "models.queueing.model.Requests", "pipeline": STEPS}))
    return path


@pytest.fixture
def search(config: Path, tmp_path: Path) -> Callable[..., int]:
    def run(*flags: str) -> int:
        return optimize.main(["-c", str(config), "--cores", "2", "--logs", str(tmp_path / "logs"), *flags])

    return run


def folder_in(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "logs").iterdir()
    return found


def test_a_real_search(search: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It ends with a config that runs, and goes on from its folder without doing anything twice."""
    assert search("--budget", "0.3", "--json") == EXIT_OK
    told: dict[str, Any] = json.loads(capfd.readouterr().out)
    start, *others = told["candidates"]
    assert start["changes"] == []
    assert others
    assert all(one["measured"]["per_s"] > 0 and one["error"] is not None for one in told["candidates"])
    assert any("step 1 replicas 2 on the CPU" in one["changes"] for one in others)
    best = read_config(told["config"]).pipeline()
    assert len(best.pipeline) == 2
    page = Path(told["page"])
    assert page == Path(told["folder"]) / "report.html"
    assert 'id="tradeoff"' in page.read_text()
    assert told["command"].startswith(f"python benchmark.py -c {told['config']}")
    memory = Memory(Path(told["folder"]))
    num_screened, runs = len(memory.screened()), memory.profile().runs
    assert optimize.main(["--resume", told["folder"], "--budget", "0.001"]) == EXIT_OK
    assert len(memory.screened()) >= num_screened
    assert memory.profile().runs[: len(runs)] == runs  # what the budget left out may follow
    assert "against A" in capfd.readouterr().out


def test_it_says_what_it_knows_when_it_is_interrupted(
    search: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = play_and_judge

    def interrupted(spec: RunSpec, logs: Path, **more: Any) -> Outcome:
        if spec.load.warmup:  # the first one of the verification
            raise KeyboardInterrupt
        return play(spec, logs, **more)

    monkeypatch.setattr(quiet_run, "play_and_judge", interrupted)
    assert search("--budget", "0.3") == EXIT_FAILED
    out, err = capfd.readouterr()
    assert "predicted videos/s" in out
    assert f"to go on: python optimize.py --resume {folder_in(tmp_path)}" in out
    assert err == "optimize.py: interrupted\n"
    assert (folder_in(tmp_path) / SCREENED).exists()
    assert not (folder_in(tmp_path) / PLAYED).exists()
    assert not (folder_in(tmp_path) / BEST).exists()


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--goal", "latency"), "--goal latency: needs --rate"),
        (("--goal", "rate", "--rate", "3", "--slo", "9"), "--goal rate: takes no --rate"),
        (("--cores", "1", "-c", "config/empty.json"), "there is nothing to vary"),
        (("--resume", "nowhere"), "nowhere: no folder of optimize.py"),
        (("--profile", "nowhere"), "nowhere: not a folder"),
        (("-c", "nowhere.json"), "No such file"),
    ],
)
def test_bad_input_is_one_line(
    search: Callable[..., int], flags: tuple[str, ...], problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert search(*flags) == EXIT_USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert problem in line
