"""optimize.py --explain and --what-if: the whole command, from runs and from what is known already."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnb.command_line import explain_command, optimize, quiet_run
from rnb.command_line.exit_status import EXIT_OK, EXIT_USAGE
from rnb.planner.harness import HarnessCosts
from rnb.planner.memory import PROFILE
from rnb.planner.profile_folder import write
from rnb.spec import RunSpec
from tests.support.known_profiles import known_profile
from tests.support.known_times import TIMED, spec_of, step

STEPS = [
    {"model": f"{TIMED}.Source", "gpus": [0], "fixed_ms": 2},
    {"model": f"{TIMED}.ChangeOne", "gpus": [0, 0], "fixed_ms": 6},
]
Command = Callable[..., int]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps({"video_path_iterator": "models.queueing.model.Requests", "pipeline": STEPS}))
    return path


@pytest.fixture
def explain(config: Path, tmp_path: Path) -> Command:
    def run(*flags: str) -> int:
        fixed = ("-c", str(config), "--device", "cpu", "--logs", str(tmp_path / "logs"))
        return optimize.main([*fixed, *flags])

    return run


@pytest.fixture
def profile(tmp_path: Path) -> str:
    """Calls of 2 and of 6 ms, of two rows each: 500/s and 2 × 166.7/s; and no run can be played."""
    folder = tmp_path / "profile"
    write(known_profile(spec_of(*STEPS), {2: [2.0]}, {2: [6.0]}, rows=2), folder)
    return str(folder)


@pytest.fixture
def no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a run was played")

    monkeypatch.setattr(quiet_run, "play_and_judge", refuse)
    monkeypatch.setattr(explain_command, "measure_harness", lambda: HarnessCosts(send_ns=1_000_000))


def test_the_whole_command(
    explain: Command, config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It profiles by itself; then the folder that it leaves, and its runs, say the same at no cost."""
    assert explain("--budget", "0.01", "--explain", str(config), "--json") == EXIT_OK
    told: dict[str, Any] = json.loads(capfd.readouterr().out)
    found = told["explanation"]
    assert 50 < found["per_s"] < 340
    assert any(one["what"] == "one more replica of step 1 ChangeOne" for one in found["gains"])
    folder = Path(told["folder"])
    assert Path(told["page"]).read_text().startswith("<!doctype html>")
    runs = [one for one in sorted(folder.iterdir()) if (one / "run.json").exists()]
    assert runs  # one or two, as the machine is slow or fast
    for sources in ([folder], [folder / PROFILE], runs):
        assert explain("--profile", *map(str, sources), "--what-if", "gpus=1,4", "--json") == EXIT_OK
        points = json.loads(capfd.readouterr().out)["what_if"]["points"]
        assert points[0]["per_s"] == pytest.approx(found["per_s"], rel=0.02)
        assert points[1]["per_s"] == pytest.approx(4 * found["per_s"], rel=0.1)


@pytest.mark.usefixtures("no_runs")
def test_from_a_profile_nothing_is_played(
    explain: Command, profile: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    flags = ("--explain", "--what-if", "gpus=1..8", "--profile", profile, "--html", str(page))
    assert explain(*flags) == EXIT_OK
    out = capfd.readouterr().out
    assert "held up by step 1 ChangeOne: its workers are busy 100% of the time" in out
    assert "one more GPU, with the same replicas" in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()[0] in "1248"}
    # 2 × 6 ms a GPU: 333/s, up to the client's 1,000/s
    assert [round(float(row[2].replace(",", ""))) for row in rows.values()] == pytest.approx(
        [333, 667, 1000, 1000], rel=0.01
    )
    assert "the client (1,000/s)" in out
    text = page.read_text()
    for part in ("gains", "resources", "ceilings", "what-if", "provenance"):
        assert f'id="{part}"' in text
    assert not list((tmp_path / "logs").glob("*/*mi0*"))


@pytest.mark.usefixtures("no_runs")
def test_several_settings_at_once(explain: Command, profile: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert explain("--what-if", "step1=2", "step0=2", "cores=8", "--profile", profile) == EXIT_OK
    out = capfd.readouterr().out
    assert "as if step1 = 2, step0 = 2, cores = 8 (simulated" in out
    now, then = (
        next(line for line in out.splitlines() if line.startswith(name)) for name in ("as it is", "then")
    )
    assert float(now.split()[4]) == pytest.approx(333, abs=4)
    assert float(then.split()[2]) == pytest.approx(667, abs=7)


@pytest.mark.usefixtures("no_runs")
def test_a_curve_over_cores_has_them_once(
    explain: Command, profile: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert explain("--what-if", "cores=1..4", "--profile", profile) == EXIT_OK
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    (head,) = (number for number, line in enumerate(lines) if line[:1] == ["cores"])
    assert lines[head][:3] == ["cores", "requests/s", "p99"]
    assert [line[0] for line in lines[head + 1 : head + 4]] == ["1", "2", "4"]
    assert all(100 < float(line[1]) < 340 for line in lines[head + 1 : head + 4])


@pytest.mark.usefixtures("no_runs")
@pytest.mark.parametrize("flags", [("--what-if", "clients=2"), ("--explain",), ("--goal", "throughput")])
def test_a_config_over_several_nodes_is_refused(
    explain: Command, config: Path, flags: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(config.read_text())
    data["pipeline"][0]["gpus"] = ["1:0"]
    config.write_text(json.dumps(data))
    assert explain(*flags) == EXIT_USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert "gpus: node 1: there is 1 node, from 0; benchmark.py --cluster reaches others" in line


@pytest.mark.usefixtures("no_runs")
@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--what-if", "colour=2"), "--what-if colour=2: must be one of gpus=N, cores=N"),
        (("--what-if", "gpus=9..2"), "--what-if gpus=9..2: the range runs backwards"),
        (("--what-if", "gpus=0"), "0 is not a whole number"),
        (("--what-if", "step7=2"), "--what-if step7: the pipeline has steps 0 to 1"),
        (("--what-if", "decode_speed=2"), "no step of this pipeline is known to decode only"),
        (("--what-if", "videos=1080p"), "no step of this pipeline is known to decode only"),
        (("--explain", "--resume", "there"), "--resume: goes on with a search"),
        (("--explain", "nowhere.json"), "nowhere.json: No such file"),
        (("--explain", "--profile", "nowhere"), "nowhere: not a folder"),
        (("--explain", "--device", "auto"), "the profile says nothing of step 0 on a GPU"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(
    explain: Command,
    profile: str,
    tmp_path: Path,
    flags: tuple[str, ...],
    problem: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked = flags if "--profile" in flags else (*flags, "--profile", profile)
    assert explain(*asked) == EXIT_USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert problem in line
    assert not (tmp_path / "logs").exists()


@pytest.mark.usefixtures("no_runs")
def test_a_profile_of_other_options_says_nothing(
    explain: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "other"
    spec: RunSpec = spec_of(step("Source"), step("ChangeOne"))
    write(known_profile(spec, {2: [2.0]}, {2: [6.0]}), folder)
    assert explain("--explain", "--profile", str(folder)) == EXIT_USAGE
    assert "the profile says nothing of step 0 on the CPU, step 1 on the CPU" in capfd.readouterr().err
