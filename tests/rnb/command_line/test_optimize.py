"""optimize.py: the whole command on pipelines of the CPU, what it leaves behind, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns.outcome import Outcome, play_and_judge
from rnb.command_line import optimize, quiet_run, search_command
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from rnb.pipeline.config import read_config
from rnb.planner.memory import BEST, PLAYED, SCREENED, Memory
from rnb.spec import RunSpec
from tests.support.known_harness import Harness

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


WRONG = [STEPS[0], {"model": "tests.support.timed_steps.Wrong", "gpus": [-1], "fixed_ms": 6}]


@pytest.fixture
def wrong(config: Path) -> Callable[..., None]:
    """A pipeline whose second step has these choices."""

    def change(**choices: Any) -> None:
        data = json.loads(config.read_text())
        data["pipeline"] = [WRONG[0], {**WRONG[1], "choices": choices}]
        config.write_text(json.dumps(data))

    return change


def steady_ms(spec: RunSpec, step: int) -> float:
    """Twice as fast with wrong results."""
    return [2.0, 3.0 if "share" in spec.config.data["pipeline"][-1] else 6.0][step]


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
        outcome = play(spec, logs, **more)
        if spec.load.warmup:  # the first one of the verification, when it is over
            signal.raise_signal(signal.SIGINT)
        return outcome

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


def test_a_config_over_several_machines_is_refused(
    search: Callable[..., int], config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config.write_text(json.dumps([{**STEPS[0], "gpus": ["0:-1", "1:-1"]}, STEPS[1]]))
    assert search() == EXIT_USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("gpus: node 1: there is 1 node, from 0; benchmark.py --cluster reaches others")
    with pytest.raises(SystemExit, match="2"):
        search("--cluster", "auto")
    assert "--cluster: optimize.py knows one machine" in capfd.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_a_candidate_with_other_results_is_ruled_out_by_name_and_figure(
    search: Callable[..., int],
    wrong: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong(share=[0.7])
    monkeypatch.setattr(quiet_run, "play_and_judge", Harness(steady_ms))
    assert search("--cores", "1", "--budget", "1") == EXIT_OK
    out = capfd.readouterr().out
    assert "share 0.7" in out
    assert re.search(r"(69|70)\.\d% of its results are those of A, and --min-agreement is 0.95", out)
    assert "share" not in out.partition("\nbest: ")[2]
    assert search("--cores", "1", "--budget", "1", "--min-agreement", "0.6") == EXIT_OK
    assert "share 0.7" in capfd.readouterr().out.partition("\nbest: ")[2]


def test_predictions_that_are_off_are_refined_with_the_runs_that_show_it(
    search: Callable[..., int], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas of the second step hold each other up, which no run of one replica could tell."""

    def crowded_ms(spec: RunSpec, step: int) -> float:
        num_replicas = len(spec.config.data["pipeline"][1]["queue_groups"][0]["gpus"])
        return [2.0, 6.0 * num_replicas][step]

    harness = Harness(crowded_ms)
    monkeypatch.setattr(quiet_run, "play_and_judge", harness)
    monkeypatch.setattr(search_command, "PROFILE_SHARE", -1.0)  # time for a single run of the profile
    assert search("--budget", "1") == EXIT_OK
    out = capfd.readouterr().out
    before, _, after = out.partition("the prediction is off for: ")
    assert "step 1 replicas 2 on the CPU" in after.splitlines()[0]
    assert "These runs go into the profile" in after
    errors = [
        [abs(float(error)) for error in re.findall(r"predicted .* \(([+-][\d.]+)%\)", part)]
        for part in (before, after)
    ]
    assert max(errors[0]) > 40
    assert max(errors[1]) < 20


def test_an_option_that_fails_is_told_and_the_others_are_found(
    search: Callable[..., int],
    wrong: Callable[..., None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong(fails=[True])
    monkeypatch.setattr(quiet_run, "play_and_judge", Harness(steady_ms))
    assert search("--budget", "1") == EXIT_OK
    out = capfd.readouterr().out
    assert "profile: step 1 fails True: the run in " in out
    assert "failed: it does not work" in out
    assert "\nbest: " in out
    data = json.loads((tmp_path / "pipeline.json").read_text())
    data["pipeline"][1]["fails"] = True
    (tmp_path / "pipeline.json").write_text(json.dumps(data))
    assert search("--budget", "1") == EXIT_FAILED
    assert capfd.readouterr().err.splitlines()[-1].endswith("failed: it does not work")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (
            ("--goal", "cost", "--rate", "150", "--slo", "7"),
            "no candidate keeps a p99 of 7 ms; the nearest, ",
        ),
        (("--goal", "rate", "--slo", "1"), "no candidate keeps a p99 of 1 ms; the nearest, "),
        (("--goal", "latency", "--rate", "9000"), "no candidate is left for --goal latency"),
    ],
)
def test_a_goal_that_cannot_be_met_is_one_line_and_what_was_found_is_kept(
    search: Callable[..., int],
    tmp_path: Path,
    flags: tuple[str, ...],
    problem: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quiet_run, "play_and_judge", Harness(steady_ms))
    assert search("--budget", "1", *flags) == EXIT_USAGE
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert problem in line
    assert f"to go on: python optimize.py --resume {folder_in(tmp_path)}" in out
    assert Memory(folder_in(tmp_path)).profile().runs


def test_where_the_config_itself_is_ruled_out_the_others_are_compared_with_the_best(
    search: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It serves 167 requests/s, and two replicas of its second step twice as many."""
    monkeypatch.setattr(quiet_run, "play_and_judge", Harness(steady_ms))
    assert search("--budget", "1", "--goal", "latency", "--rate", "220") == EXIT_OK
    out = capfd.readouterr().out
    assert "A is the best that was predicted, as the config as it was is ruled out" in out
    assert re.search(r"^A: .*step 1 replicas 2 on the CPU", out, re.MULTILINE)
    page = (folder_in(tmp_path) / "report.html").read_text()
    assert "against A, the best that was predicted, as the config as it was is ruled out" in page


def test_a_search_is_not_resumed_on_another_machine(
    search: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quiet_run, "play_and_judge", Harness(steady_ms))
    assert search("--budget", "1") == EXIT_OK
    folder = folder_in(tmp_path)
    assert optimize.main(["--resume", str(folder), "--budget", "1"]) == EXIT_OK
    capfd.readouterr()
    facts = folder / "profile" / "profile.json"
    kept = json.loads(facts.read_text())
    kept["origin"]["num_cpus"] = 4096
    facts.write_text(json.dumps(kept))
    assert optimize.main(["--resume", str(folder), "--budget", "1"]) == EXIT_USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert "this machine: num_cpus is " in line
    assert "in the profile 4096" in line


@pytest.mark.parametrize(
    ("config_file", "flags", "told"),
    [
        ("config/queueing-mm2.json", ("--goal", "latency", "--rate", "60"), "predicted p99 ms"),
        ("config/queueing-md1.json", ("--goal", "rate", "--slo", "20000"), "predicted p99 ms"),
        ("config/queueing-mm2.json", ("--goal", "cost", "--rate", "60", "--slo", "20000"), "1 on the CPU"),
    ],
)
def test_real_runs_for_each_goal(
    search: Callable[..., int],
    config_file: str,
    flags: tuple[str, ...],
    told: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    status = search("-c", config_file, "--cores", "3", "--budget", "0.2", *flags)
    out, err = capfd.readouterr()
    assert status == EXIT_OK, err
    assert told in out
    assert "\nbest: " in out
    assert (folder_in(tmp_path) / BEST).exists()
    assert "predicted" in out.partition("played: ")[2].partition("\n")[0]
