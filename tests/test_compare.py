"""compare.py, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sample_runs import CONFIG, END_TO_END_MS, request_columns, write_run, write_seed_run

ROOT = Path(__file__).parents[1]


def compare(*runs: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "compare.py", *map(str, runs)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def output(*runs: Path) -> list[str]:
    finished = compare(*runs)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout.splitlines()


def row(lines: list[str], name: str) -> list[str]:
    """The cells of a row."""
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return line.removeprefix(name).split()


def test_a_table_with_a_column_for_each_run_and_its_difference(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(factor), factor=factor) for factor in (1, 1.1, 0.5)]
    lines = output(*runs)
    assert lines[:3] == [f"A  {runs[0]}", f"B  {runs[1]}", f"C  {runs[2]}"]
    assert row(lines, "end to end mean ms") == ["16", "17.600", "+10.0%", "8", "-50.0%"]
    assert row(lines, "end to end p90 ms")[1:3] == ["17.600", "+10.0%"]
    assert row(lines, "end to end p99 ms") == ["-"] * 5
    assert row(lines, "step 1 B mean ms")[:3] == ["8", "8.800", "+10.0%"]
    assert row(lines, "videos/s") == ["10", "10", "+0.0%", "10", "+0.0%"]


def test_what_differs_in_flags_and_config(tmp_path: Path) -> None:
    config: list[dict[str, Any]] = [CONFIG[0], {**CONFIG[1], "gpus": [0, 1], "split": {"start": 2}}]
    lines = output(
        write_run(tmp_path, flags={"batch_size": 1}),
        write_run(tmp_path, flags={"batch_size": 4}, config=config),
    )
    start = lines.index("") + 1
    differences = [line.split(maxsplit=1) for line in lines[start : lines.index("", start)]]
    assert [cells[0] for cells in differences] == [
        "differs",
        "batch_size",
        "config[1].gpus",
        "config[1].split.start",
    ]
    assert differences[1][1].split() == ["1", "4"]
    assert differences[2][1].split("  ")[0] == "[0, 0]"


def test_runs_of_the_same_flags_and_config(tmp_path: Path) -> None:
    lines = output(write_run(tmp_path), write_run(tmp_path))
    assert "The flags and the configs are the same." in lines
    assert "results of A and B: 100 of 100 requests the same" in lines


def test_results_are_compared_by_request(tmp_path: Path) -> None:
    columns = request_columns(90)
    columns["label"][[3, 4]] += 1
    columns["label"][5] = -1
    columns["status"][6] = "failed"
    columns["video"][7] = "another.mp4"
    order = np.random.default_rng(0).permutation(90)
    shuffled = {name: column[order] for name, column in columns.items()}
    lines = output(write_run(tmp_path), write_run(tmp_path, num_requests=90, columns=shuffled))
    assert lines[-1] == "results of A and B: 85 of 87 requests the same"


def test_runs_without_results_are_not_said_to_agree(tmp_path: Path) -> None:
    none = {"label": np.full(100, -1, dtype=np.int32)}
    assert "results of" not in "\n".join(output(*(write_run(tmp_path, columns=none) for _ in range(2))))


def test_a_run_of_the_seed_beside_one_of_rnb(tmp_path: Path) -> None:
    lines = output(write_run(tmp_path), write_seed_run(tmp_path / "seed"), write_run(tmp_path))
    assert row(lines, "finished")[:2] == ["100", "2"]
    assert row(lines, "videos/s")[:3] == ["10", "0.045", "-99.5%"]
    assert row(lines, "step 0 mean ms")[:3] == ["4", "13.254", "+231.3%"]
    assert row(lines, "lateness of the client mean ms")[:3] == ["0.500", "-", "-"]
    assert "batch_size" not in "".join(lines)
    assert [line for line in lines if "results" in line] == [
        "results of A and C: 100 of 100 requests the same"
    ]


def test_one_run_alone(tmp_path: Path) -> None:
    lines = output(write_run(tmp_path))
    assert row(lines, "end to end mean ms") == [f"{END_TO_END_MS:.0f}"]


def test_a_failed_run_is_marked(tmp_path: Path) -> None:
    lines = output(write_run(tmp_path, is_success=False, message="frame queue 0 is full"))
    assert lines[0].endswith("(failed: frame queue 0 is full)")


def test_what_is_not_a_run_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "missing", Path(__file__)):
        finished = compare(write_run(tmp_path / "logs"), wrong)
        assert (finished.returncode, finished.stdout) == (2, "")
        [line] = finished.stderr.splitlines()
        assert line.startswith(f"compare.py: error: {wrong}: not a ")


@pytest.mark.parametrize("flags", [[], ["--no-such-flag"]])
def test_a_wrong_command_line(flags: list[str]) -> None:
    finished = compare(*flags)
    assert finished.returncode == 2
    assert "usage: compare.py" in finished.stderr


def test_nobody_needs_to_read_all_of_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "compare.py", str(write_run(tmp_path))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
