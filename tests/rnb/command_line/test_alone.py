"""client.py and runner.py: the flags and the report of benchmark.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rnb.record.run_folder import read
from tests.support.running import ROOT, tiny


def run(program: str, tmp_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "pipeline.json"
    config.write_text(json.dumps([tiny("Load"), tiny("Classify")]))
    (tmp_path / "a.mp4").touch()
    places = ["-c", str(config), "--logs", str(tmp_path / "logs"), "--data", str(tmp_path), "--device", "cpu"]
    command = [sys.executable, program, *places, *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_client_alone(tmp_path: Path) -> None:
    # All rows: on a busy machine the client is so late that what follows makes less than 1% of the latency.
    ended = run("client.py", tmp_path, "-mi", "1", "-v", "200", "--verbose")
    assert ended.returncode in (0, 3), ended.stderr
    assert "lateness of the client" in ended.stdout
    assert "step 0 Nothing" in ended.stdout
    (folder,) = (tmp_path / "logs").iterdir()
    assert read(folder).requests["status"].tolist() == ["finished"] * 200


def test_a_step_alone(tmp_path: Path) -> None:
    ended = run("runner.py", tmp_path, "--step", "1", "--check")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "step 0.0: Feed on GPU 0 (mapped to the CPU)" in ended.stdout
    assert "step 1.0: Classify" in ended.stdout


@pytest.mark.parametrize(
    ("step", "message"), [("2", "--step 2: the pipeline has steps 0 to 1"), ("-1", "--step")]
)
def test_a_wrong_step_is_one_line(tmp_path: Path, step: str, message: str) -> None:
    ended = run("runner.py", tmp_path, "--step", step)
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert line.startswith("runner.py: error: ")
    assert message in line
