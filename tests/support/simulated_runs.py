"""Runs of a pipeline that was only simulated: a loader and two replicas of a network, queues before both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.record.meta import RunMeta
from rnb.record.run import Run
from rnb.record.tables import TELEMETRY
from tests.support.sample_runs import CONFIG, START_NS, arguments

EVENTS = [
    DUE,
    SENT,
    Event(EventKind.TAKEN, 0),
    Event(EventKind.WAITS_FOR_SLOT, 0),
    Event(EventKind.STARTED, 0),
    Event(EventKind.FINISHED, 0),
    Event(EventKind.HANDED_ON, 0),
    Event(EventKind.TAKEN, 1),
    Event(EventKind.STARTED, 1),
    Event(EventKind.FINISHED, 1),
]
LOADER_MS, NETWORK_MS, NUM_NETWORKS = 4.0, 7.0, 2
"""Mean service times; both steps take about 250 and 285 requests/s."""
REPLICAS = [(0, 0, 0), (1, 0, 0), (1, 1, 1)]


def simulate(
    folder: str | Path = "logs/simulated",
    *,
    num_requests: int = 5_000,
    rate_per_s: float = 180.0,
    speed: float = 1.0,
    seed: int = 0,
    has_telemetry: bool = True,
    flags: dict[str, Any] | None = None,
    **meta_changes: Any,
) -> Run:
    """A run with Poisson arrivals and gamma-distributed services, in memory; the folder is only named."""
    random = np.random.default_rng(seed)
    scheduled = np.cumsum(random.exponential(1e3 / rate_per_s, num_requests))
    sent = scheduled + random.exponential(0.05, num_requests)
    service = random.gamma(4.0, LOADER_MS / speed / 4.0, num_requests)
    start0, finish0 = _serve(sent, service)
    handed_on = finish0 + random.exponential(0.08, num_requests)
    replica1 = (np.arange(num_requests) % NUM_NETWORKS).astype(np.int32)
    start1, finish1 = np.empty(num_requests), np.empty(num_requests)
    for replica in range(NUM_NETWORKS):
        rows = replica1 == replica
        network = random.gamma(6.0, NETWORK_MS / speed / 6.0, int(rows.sum()))
        start1[rows], finish1[rows] = _serve(handed_on[rows], network)
    taken0 = start0 - np.minimum(0.3, start0 - sent) * random.random(num_requests)
    columns = [scheduled, sent, taken0, (taken0 + start0) / 2, start0, finish0, handed_on]
    columns += [start1 - np.minimum(0.2, start1 - handed_on) * random.random(num_requests), start1, finish1]
    times = {
        event: START_NS + np.round(1e6 * column).astype(np.int64)
        for event, column in zip(EVENTS, columns, strict=True)
    }
    end_ns = int(times[EVENTS[-1]].max())
    settings = {
        "mean_interval_ms": 1e3 / rate_per_s,
        "videos": num_requests,
        "slo": 100.0,
        "percentile": 99.0,
    }
    return Run(
        folder=Path(folder),
        meta=_meta(vars(arguments(**{**settings, **(flags or {})})), end_ns, meta_changes),
        times=times,
        requests=_columns(num_requests, replica1, scheduled),
        tables={TELEMETRY: _telemetry(random, (end_ns - START_NS) / 1e9)} if has_telemetry else {},
    )


def later(run: Run, seconds: float) -> Run:
    """The same run, played so much later."""
    shift_ns = round(seconds * 1e9)
    run.times = {event: times + shift_ns for event, times in run.times.items()}
    run.meta.start_epoch_ns = run.start_ns + shift_ns
    run.meta.end_epoch_ns += shift_ns
    return run


def _serve(
    arrivals: NDArray[np.float64], services: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When a single server starts and finishes each; Lindley's recursion as a running maximum."""
    done = np.cumsum(services)
    finishes = done + np.maximum.accumulate(arrivals - (done - services))
    return finishes - services, finishes


def _meta(args: dict[str, Any], end_ns: int, changes: dict[str, Any]) -> RunMeta:
    facts: dict[str, Any] = {
        "argv": ["benchmark.py", "-mi", f"{args['mean_interval_ms']:.3f}"],
        "args": args,
        "args_line": "Namespace()",
        "config_name": "simulated.json",
        "config": CONFIG,
        "start_epoch_ns": START_NS,
        "end_epoch_ns": end_ns,
        "termination_flag": 0,
        "termination": "TARGET_NUM_VIDEOS_REACHED",
        "is_success": True,
        "message": "",
        "device_mode": "cuda",
        "mps": "on",
        "events": EVENTS,
        "step_names": ["Loader", "Network"],
        "replicas": [
            {
                "step": step,
                "replica": replica,
                "gpu": 0,
                "replica_on_gpu": on_gpu,
                "device": "cuda:0",
                "workers": 1,
                "pid": 100 + 10 * step + replica,
            }
            for step, replica, on_gpu in REPLICAS
        ],
        "provenance": {
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "is_dirty": False,
            "hostname": "simulated",
            "cpu": "AMD EPYC 9474F 48-Core Processor",
            "num_cpus": 16,
            "driver": "580.95",
            "gpus": [{"name": "NVIDIA H200", "memory_bytes": 150 * 2**30, "power_cap_w": 700.0}],
            "packages": {"torch": "2.11.0", "numpy": "2.3.4"},
            "python": "3.11.7",
        },
    }
    return RunMeta(**{**facts, **changes})


def _columns(
    num_requests: int, replica1: NDArray[np.int32], scheduled: NDArray[np.float64]
) -> dict[str, Any]:
    ids = np.arange(num_requests)
    videos = np.array([f"videos/{number}.mp4" for number in range(8)], dtype=object)
    zeros = np.zeros(num_requests, dtype=np.int32)
    return {
        "request_id": ids,
        "video": videos[ids % 8],
        "arrival_ns": np.round(1e6 * scheduled).astype(np.int64),
        "is_warmup": np.zeros(num_requests, dtype=bool),
        "status": np.full(num_requests, "finished", dtype=object),
        "reason": np.full(num_requests, "", dtype=object),
        "num_clips": np.ones(num_requests, dtype=np.int32),
        "label": (ids % 7).astype(np.int32),
        "score": np.full(num_requests, 0.5, dtype=np.float32),
        "replica0": zeros,
        "worker0": zeros,
        "replica1": replica1,
        "worker1": zeros,
    }


def _telemetry(random: np.random.Generator, seconds: float) -> dict[str, Any]:
    """Ten samples a second."""
    count = max(2, int(10 * seconds))
    at_s = np.linspace(0, seconds, count)

    def around(mean: float, spread: float) -> NDArray[np.float64]:
        smooth = np.convolve(random.normal(0, spread, count + 8), np.ones(9) / 3, mode="valid")
        return np.clip(mean + smooth, 0, None)

    columns = {
        "gpu0.sm_percent": np.clip(around(62, 9), 0, 100),
        "gpu0.memory_bytes": np.full(count, 9.5 * 2**30),
        "gpu0.nvdec_percent": np.clip(around(81, 6), 0, 100),
        "gpu0.sm_clock_mhz": np.full(count, 1980.0),
        "gpu0.memory_clock_mhz": np.full(count, 3201.0),
        "gpu0.power_w": around(310, 25),
        "gpu0.temperature_c": around(48, 1),
        "gpu0.throttle_reasons": np.zeros(count),
        "cpu.percent": np.clip(around(11, 0.2), 0, 100),
    }
    for name, mean in (("driver", 2.0), ("client", 6.0), ("step 0.0", 95.0), ("step 1.0", 60.0)):
        columns[f"process.{name}.cpu_percent"] = around(mean, mean / 10)
        columns[f"process.{name}.memory_bytes"] = np.full(count, 1.2 * 2**30)
        columns[f"process.{name}.gpu_memory_bytes"] = np.full(count, 3.0 * 2**30)
    return {"time_ns": START_NS + np.round(1e9 * at_s).astype(np.int64), **columns}
