"""What the benchmarks share: running benchmark.py, reading its folder, printing one line and JSON."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnb.analysis.statistics import describe, stage_durations_ms
from rnb.command_line.exit_status import EXIT_INVALID, EXIT_OK
from rnb.record.run import Run
from rnb.record.run_folder import read

ROOT = Path(__file__).parents[1]


def samples_in(parser: argparse.ArgumentParser, data: Path) -> list[Path]:
    """The videos of --data; without any the parser ends the process."""
    samples = sorted(data.rglob("*.mp4"))
    if not samples:
        parser.error(f"--data {data}: no *.mp4 in it; python -m utils.sample_videos makes some")
    return samples


def check_gpu(parser: argparse.ArgumentParser, flag: str) -> None:
    """Without a GPU that PyTorch can use the parser ends the process."""
    if not torch.cuda.is_available():
        parser.error(f"{flag}: no GPU here, or a PyTorch that cannot use it")


def run_pipeline(config: str, *flags: str) -> Run:
    """Run benchmark.py in a process of its own and read what it leaves. Raises RuntimeError when it fails.

    A verdict is for whoever reads one run: here one that is INVALID, say not steady, counts as well.
    """
    return run_benchmark("-c", config, *flags)


def run_benchmark(*flags: str) -> Run:
    """The same with whatever it is that the flags play to."""
    with tempfile.TemporaryDirectory() as logs:
        command = [sys.executable, "benchmark.py", "--logs", logs, *flags]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode not in (EXIT_OK, EXIT_INVALID):
            raise RuntimeError(f"{' '.join(command)}: exit status {result.returncode}\n{result.stderr}")
        (folder,) = Path(logs).iterdir()
        return read(folder)


def throughput(run: Run) -> float:
    """Finished requests per second."""
    return float(np.count_nonzero(run.finished)) / run.seconds


def stages(run: Run) -> dict[str, dict[str, Any]]:
    """The distribution of each stage in microseconds."""
    durations = stage_durations_ms(run, run.finished)
    described = [describe(stage, values) for stage, values in durations.items()]
    return {
        entry.stage.title(run.step_names): {
            percentile: _us(value) for percentile, value in entry.percentiles_ms.items()
        }
        for entry in described
    }


def _us(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms * 1000, 1)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range of repeated measurements."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def show(name: str, line: str, figures: dict[str, Any]) -> None:
    """Print the result: one line for people, one of JSON for programs."""
    print(f"{name}: {line}")
    print(json.dumps({"benchmark": name, **figures}))
