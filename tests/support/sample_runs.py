"""Run folders written without a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.summary import summarize
from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.record.meta import RunMeta
from rnb.record.run import Run
from rnb.record.run_folder import create, write, write_summary

START_NS = 1_795_000_000_123_456_789
GAP_MS = 10
EVENTS = [
    DUE,
    SENT,
    Event(EventKind.TAKEN, 0),
    Event(EventKind.STARTED, 0),
    Event(EventKind.FINISHED, 0),
    Event(EventKind.TAKEN, 1),
    Event(EventKind.STARTED, 1),
    Event(EventKind.FINISHED, 1),
]
STAGES_MS = (0.5, 1.0, 0.25, 4.0, 2.0, 0.25, 8.0)
"""From each event to the next."""
END_TO_END_MS = sum(STAGES_MS)
CONFIG: list[dict[str, Any]] = [
    {"model": "models.A", "gpus": [0]},
    {"model": "models.B", "gpus": [0, 0], "split": {"start": 1}},
]


def arguments(**changes: Any) -> argparse.Namespace:
    flags = {
        "batch_size": 1,
        "config_file_path": "config/r2p1d-whole.json",
        "mean_interval_ms": 90,
        "per_gpu_queue": False,
        "queue_size": 500,
        "videos": 500,
    }
    return argparse.Namespace(**{**flags, **changes})


def event_times(num_requests: int, factor: float = 1.0) -> NDArray[np.int64]:
    """Epoch ns (num_requests, len(EVENTS)): a request each GAP_MS, its stages `factor` times STAGES_MS."""
    offsets_ms = np.cumsum([0.0, *(factor * stage for stage in STAGES_MS)])
    scheduled_ms = GAP_MS * np.arange(num_requests)
    times: NDArray[np.int64] = START_NS + np.round((scheduled_ms[:, None] + offsets_ms) * 1e6).astype(
        np.int64
    )
    return times


def request_columns(num_requests: int) -> dict[str, Any]:
    """Finished requests, taken in turn by the two replicas of the last step."""
    ids = np.arange(num_requests)
    return {
        "request_id": ids,
        "video": np.array([f"videos/{request % 3}.mp4" for request in ids], dtype=object),
        "arrival_ns": ids * GAP_MS * 1_000_000,
        "is_warmup": np.zeros(num_requests, dtype=bool),
        "status": np.full(num_requests, "finished", dtype=object),
        "reason": np.full(num_requests, "", dtype=object),
        "num_clips": np.ones(num_requests, dtype=np.int32),
        "label": (ids % 7).astype(np.int32),
        "score": np.full(num_requests, 0.5, dtype=np.float32),
        "replica0": np.zeros(num_requests, dtype=np.int32),
        "worker0": np.zeros(num_requests, dtype=np.int32),
        "replica1": (ids % 2).astype(np.int32),
        "worker1": np.zeros(num_requests, dtype=np.int32),
    }


def run_meta(args: argparse.Namespace, **changes: Any) -> RunMeta:
    replicas = [(0, 0, 0), (1, 0, 0), (1, 1, 1)]
    facts: dict[str, Any] = {
        "argv": ["benchmark.py", "-v", "500"],
        "args": vars(args),
        "args_line": str(args),
        "config_name": Path(args.config_file_path).name,
        "config": CONFIG,
        "start_epoch_ns": START_NS,
        "end_epoch_ns": START_NS + 10 * 1_000_000_000,
        "termination_flag": 0,
        "termination": "TARGET_NUM_VIDEOS_REACHED",
        "is_success": True,
        "message": "",
        "device_mode": "cpu",
        "mps": "off",
        "events": EVENTS,
        "step_names": ["A", "B"],
        "replicas": [
            {"step": step, "replica": replica, "gpu": 0, "replica_on_gpu": on_gpu, "device": "cpu"}
            for step, replica, on_gpu in replicas
        ],
        "provenance": {"commit": None},
    }
    return RunMeta(**{**facts, **changes})


def write_run(
    logs: Path,
    *,
    num_requests: int = 100,
    factor: float = 1.0,
    flags: dict[str, Any] | None = None,
    columns: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    **meta_changes: Any,
) -> Path:
    """A run folder of `num_requests` requests, the columns of some changed; `data`: more of the run."""
    args = arguments(**(flags or {}))
    meta = run_meta(args, **meta_changes)
    requests = {**request_columns(num_requests), **(columns or {})}
    times = event_times(num_requests, factor)
    folder = create(logs, vars(args))
    by_event = {event: times[:, index] for index, event in enumerate(meta.events)}
    run = Run(meta=meta, times=by_event, requests=requests, **(data or {}))
    write(run, folder)
    write_summary(folder, summarize(run).to_json())
    return folder


SEED_LOG_META = """\
Args: Namespace(batch_size=1, config_file_path='config/r2p1d-whole.json', mean_interval_ms=90, \
per_gpu_queue=False, queue_size=500, videos=500)
1561964947.928291 1561964992.177985
Termination flag: 0
"""
SEED_EVENTS = EVENTS[1:]
SEED_TIMINGS = (
    " ".join(event.name for event in SEED_EVENTS)
    + """
1561964948.000000 1561964948.001558 1561964948.001563 1561964948.014817 1561964949.326336 1561964949.326341 \
1561964949.411574
1561964948.090000 1561964948.091558 1561964948.091563 1561964948.104817 1561964949.416336 1561964949.416341 \
1561964949.501574
"""
)
"""Two requests with the stages that the seed's README prints."""


def write_seed_run(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A folder as snuspl/rnb leaves it."""
    folder.mkdir(parents=True)
    (folder / "log-meta.txt").write_text(SEED_LOG_META)
    for name, text in (files or {"g0-r0.txt": SEED_TIMINGS}).items():
        (folder / name).write_text(text)
    return folder
