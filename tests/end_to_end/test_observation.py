"""What a real run shows while it plays, and what of that it keeps."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import numpy as np

from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, ROOT, Bench, tiny


def test_telemetry_provenance_progress_and_one_json_object(bench: Bench) -> None:
    config = bench.folder / "pipeline.json"
    config.write_text(json.dumps([tiny("Load"), tiny("Classify", gpus=[0, 1], busy_ms=20)]))
    places = ["-c", str(config), "--data", str(bench.videos), "--logs", str(bench.logs)]
    status, out, drawn = _run_in_terminal(
        bench.environment(), *places, "--device", "cpu", "-v", "120", "-mi", "0", "--json"
    )
    assert status in ENDED_WELL, drawn
    _check_progress(drawn)
    (folder,) = bench.logs.iterdir()
    (line,) = out.splitlines()
    shown = json.loads(line)
    assert {key: shown[key] for key in ("folder", "is_success", "message")} == {
        "folder": str(folder),
        "is_success": True,
        "message": "",
    }
    assert json.loads((folder / "summary.json").read_text()).items() <= shown.items()
    run = read(folder)
    assert "telemetry" in run.tables
    _check_telemetry(run.tables["telemetry"], run.start_ns, run.end_ns)
    inputs = run.meta.provenance["inputs"]
    assert (inputs["num_files"], inputs["num_bytes"], len(inputs["sha256_of_contents"])) == (3, 0, 64)


def _check_progress(drawn: str) -> None:
    """120 calls of 20 ms in two replicas take more than a second, so there are two frames at least."""
    assert re.search(r"s: 120 of 120 sent, \d+ finished, 0 failed; \d", drawn)
    assert re.search(r"waiting: \d+ for step 0, \d+ for step 1", drawn)
    assert drawn.count("\x1b[1A\x1b[J") >= 2
    assert drawn.endswith("\x1b[1A\x1b[J")


def _check_telemetry(telemetry: dict[str, np.ndarray], start_ns: int, end_ns: int) -> None:
    processes = ("driver", "client", "step 0.0", "step 1.0", "step 1.1")
    readings = ("cpu_percent", "memory_bytes", "gpu_memory_bytes")
    columns = {f"process.{name}.{reading}" for name in processes for reading in readings}
    assert set(telemetry) == {"time_ns", "cpu.percent", "cpu.steal_percent", "children.cpu_percent", *columns}
    times_ns = telemetry["time_ns"]
    assert abs(times_ns[0] - start_ns) < 2e9
    assert times_ns[-1] >= end_ns
    assert len(times_ns) >= 5
    assert 0 < np.nanmax(telemetry["cpu.percent"]) <= 100
    assert telemetry["process.step 1.0.memory_bytes"].min() > 20e6
    assert np.nanmax(telemetry["process.step 0.0.cpu_percent"]) > 0


def test_quiet_leaves_the_essentials_and_no_telemetry_no_file(bench: Bench) -> None:
    run = bench.call([tiny("Load"), tiny("Classify")], "-v", "20", "-mi", "0", "--quiet", "--no-telemetry")
    assert (run.status, run.err) == (0, "")
    assert run.folder
    assert run.out.splitlines()[-1] == f"run folder: {run.folder}"
    assert re.search(r"^[\d.]+ videos/s, 20 done in ", run.out, re.MULTILINE)
    assert "end to end" not in run.out
    assert "START!" not in run.out
    assert not (run.folder / "telemetry.parquet").exists()
    assert "telemetry" not in read(run.folder).tables


def _run_in_terminal(environment: dict[str, str], *flags: str) -> tuple[int, str, str]:
    """Status, stdout, and what a terminal gets as stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "benchmark.py", *flags],
        cwd=ROOT,
        env={**environment, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    out, _ = process.communicate(timeout=60)  # what is drawn in a second or two fits the terminal's buffer
    drawn = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    return process.returncode, out, drawn


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed and nothing is left
        return b""
