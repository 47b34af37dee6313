"""benchmark.py at the command line: the plan that --check prints, and mistakes in one line with a way on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnb.command_line.benchmark import main
from tests.support.running import ROOT, tiny

UPSTREAM = sorted((ROOT / "tests" / "support" / "upstream_configs").glob("*.json"))
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}


def write(folder: Path, config: Any) -> str:
    path = folder / "pipeline.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return str(path)


def benchmark(*flags: str) -> tuple[int, str, str]:
    """Status, output and errors of `python benchmark.py` in a process of its own."""
    run = subprocess.run(
        [sys.executable, "benchmark.py", *flags],
        cwd=ROOT,
        env={**os.environ, **NO_GPU},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


@pytest.mark.processes
def test_check_prints_the_plan_and_starts_nothing(tmp_path: Path) -> None:
    config = write(tmp_path, [tiny("Load", gpus=[0, 1]), tiny("Classify", gpus=[0, -1], workers=2)])
    flags = ("--device", "cpu", "--data", str(tmp_path / "none"), "--logs", str(tmp_path / "logs"))
    status, out, err = benchmark("-c", config, "-qs", "7", "-b", "3", "--check", *flags)
    assert (status, err) == (0, "")
    frames = "frame queue 0 between steps 0 and 1"
    assert out.splitlines() == [
        "processes: 1 driver, 1 client, 4 runners",
        f"  step 0.0: Load on GPU 0 (mapped to the CPU): filename queue -> {frames}",
        f"  step 0.1: Load on GPU 1 (mapped to the CPU): filename queue -> {frames}",
        f"  step 1.0: Classify on GPU 0 (mapped to the CPU), 2 workers, batches of 3: {frames} -> run folder",
        f"  step 1.1: Classify on CPU, 2 workers, batches of 3: {frames} -> run folder",
        "queues:",
        "  filename queue: 7 messages, 1 writers, 2 readers",
        f"  {frames}: 7 messages, 2 writers, 2 readers",
        "slots:",
        "  step 0.0: 10 of 11x2 float32 on cpu, 5,120 bytes",
        "  step 0.1: 10 of 11x2 float32 on cpu, 5,120 bytes",
        "  in all: 10,240 bytes",
    ]
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("path", UPSTREAM, ids=lambda path: path.stem)
def test_the_published_configs_of_snuspl_rnb_load_unchanged(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", str(path), "--device", "cpu", "--check"]) == 0
    config = json.loads(path.read_text())
    steps = config if isinstance(config, list) else config["pipeline"]
    groups = [group for step in steps for group in step.get("queue_groups", [step])]
    num_replicas = sum(len(group["gpus"]) for group in groups)
    assert f"1 client, {num_replicas} runners\n" in capsys.readouterr().out


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["-h"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    seeds = (
        "-mi, --mean_interval_ms -b, --batch_size -v, --videos -qs, --queue_size -c, --config_file_path"
        " -p, --per_gpu_queue"
    )
    own = "-bt, --batch_timeout_ms --data --seed --device --mps --checkpoint --logs --max-failures --check"
    assert [flag for flag in f"{seeds} {own}".replace(",", "").split() if flag not in shown] == []
    assert "3 the run ended well, but is INVALID." in " ".join(shown.split())


@pytest.mark.processes
def test_a_wrong_flag() -> None:
    status, out, err = benchmark("--vidoes", "5")
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == "benchmark.py: error: unrecognized arguments: --vidoes 5"
    assert "Traceback" not in err


@pytest.mark.processes
def test_a_gpu_config_without_a_gpu() -> None:
    status, out, err = benchmark("-c", "config/r2p1d-whole.json", "-v", "500", "-mi", "90")
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "pipeline[0].queue_groups[0].gpus: GPU 0: no GPU here; --device cpu runs every replica" in line


GOOD = [tiny("Load"), tiny("Classify")]


@pytest.mark.parametrize(
    ("config", "flags", "message"),
    [
        ("{", [], "pipeline.json: not JSON: "),
        ([], [], "pipeline: []: list should have at least 1 item"),
        (3, [], "config: 3: must be a list of steps, or an object with 'pipeline'"),
        ({"pipelines": []}, [], "config.pipelines: unknown key; did you mean 'pipeline'?"),
        ([tiny("Load", gpus=["a"])], [], "pipeline[0].queue_groups[0]: gpus: 'a': must be a GPU's number or"),
        ([tiny("Load", gpus=[])], [], "pipeline[0].queue_groups[0].gpus: []: list should have at least 1"),
        ([{"gpus": [0]}], [], "pipeline[0].model: missing"),
        ([tiny("Loda")], [], "pipeline[0].model: 'tests.support.tiny_steps.Loda': module"),
        ([tiny("Load", fail_evry=2)], [], "pipeline[0].fail_evry: unknown key; did you mean 'fail_every'?"),
        ([*GOOD, tiny("Join", aggregate=3)], [], "pipeline[2].aggregate: 3: the requests come in 1 segments"),
        ([tiny("Nothing")], ["-b", "2"], "-b: 2: no step of this pipeline takes several requests (Nothing)"),
        (GOOD, ["--mps", "on"], "--mps: on: no GPU has several processes"),
        (GOOD, ["--data", "/nowhere"], "/nowhere: not a folder of videos; 'make data' prepares samples"),
        (GOOD, ["-c", "nowhere.json"], "nowhere.json: No such file or directory"),
        (
            {"video_path_iterator": "rnb.load.videos.Nothing", "pipeline": GOOD},
            [],
            "video_path_iterator: 'rnb.load.videos.Nothing': module 'rnb.load.videos' has no 'Nothing'",
        ),
        (
            [tiny("Load", queue_selector="rnb.pipeline.selectors.Nothing"), tiny("Classify")],
            [],
            "pipeline[0].queue_groups[0].queue_selector: 'rnb.pipeline.selectors.Nothing': module",
        ),
        (
            [tiny("Load", queue_selector="rnb.pipeline.selectors.ClipCountSelector"), tiny("Classify")],
            [],
            "pipeline[0].queue_groups[0].queue_selector: ClipCountSelector needs two output queues",
        ),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: Any, flags: list[str], message: str
) -> None:
    (tmp_path / "a.mp4").touch()
    places = ["-c", write(tmp_path, config), "--data", str(tmp_path), "--logs", str(tmp_path / "logs")]
    assert main([*places, "--device", "cpu", *flags]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("benchmark.py: error: ")
    assert message in line
    assert out == ""
    assert not (tmp_path / "logs").exists()
