"""How much of each resource a run used: the workers of each step, the GPUs, the cores, the video engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnb.analysis.calls import Calls, calls_of, visits_of
from rnb.analysis.machine_use import mean_use
from rnb.analysis.utilization import Utilization, mean_shares, union_ns, worker_utilizations
from rnb.analysis.watched_nodes import WatchedNode, watched_nodes
from rnb.record.run import Run

MOST_GPUS = 8
"""That get a line of their own."""
READINGS = {"percent": "the CPUs", "sm_percent": "SMs", "nvdec_percent": "video engines"}
"""Of the telemetry, and what they are of."""


class Use(NamedTuple):
    """Shares of the measured phase."""

    name: str
    busy: float
    waiting_for_slot: float = 0.0
    other: float = 0.0
    """Gathering, copying, handing on."""
    step: int | None = None
    """None of what steps share."""


def uses_of(run: Run) -> list[Use]:
    """Of a run, a simulated or a real one; the telemetry of a real one says more."""
    return [*_steps(run), *_gpus(run), *_telemetry(run)]


def _steps(run: Run) -> list[Use]:
    by_step: dict[int, list[Utilization]] = {}
    for entry in worker_utilizations(run):
        by_step.setdefault(entry.step, []).append(entry)
    found = []
    for step, entries in by_step.items():
        shares, number = mean_shares(entries), len(entries)
        name = f"step {step} {run.step_names[step]}, {number} worker{'' if number == 1 else 's'}"
        found.append(Use(name, shares["busy"], shares["waiting_for_slot"], shares["other"], step))
    return found


def _gpus(run: Run) -> list[Use]:
    """The share of time in which any call was on a GPU, also where --device cpu takes its place."""
    gpu_of = {(one["step"], one["replica"]): one.get("gpu", -1) for one in run.meta.replicas}
    calls = [calls_of(visits_of(run, step)) for step in range(run.num_steps)]
    shares = {gpu: _share(run, gpu, gpu_of, calls) for gpu in sorted(set(gpu_of.values())) if gpu >= 0}
    if len(shares) > MOST_GPUS:
        return [
            Use(f"the {len(shares)} GPUs, on average: a call on them", float(np.mean(list(shares.values()))))
        ]
    return [Use(f"GPU {gpu}: a call on it", share) for gpu, share in shares.items()]


def _share(run: Run, gpu: int, gpu_of: Mapping[tuple[int, int], int], calls: Sequence[Calls]) -> float:
    spans = []
    for one in calls:
        is_here = np.array([gpu_of.get((one.step, replica)) == gpu for replica in one.replica.tolist()], bool)
        spans.append((one.start_ns[is_here], one.finish_ns[is_here]))
    start_ns, end_ns = run.window_ns
    return union_ns(spans, run.window_ns) / max(1, end_ns - start_ns)


def _telemetry(run: Run) -> list[Use]:
    """What was read while a real run played."""
    return [use for node in watched_nodes(run) for use in _read(run, node)]


def _read(run: Run, node: WatchedNode) -> list[Use]:
    table, found = node.telemetry, []
    for column, values in table.items():
        device, _, reading = column.partition(".")
        if (
            reading in READINGS
            and np.isfinite(values).any()
            and (device == "cpu" or device.startswith("gpu"))
        ):
            of_gpu = "" if device == "cpu" else f" of GPU {device[3:]}"
            share = mean_use(run, table["time_ns"], values) / 100
            found.append(Use(f"{node.title(READINGS[reading] + of_gpu)}, read", share))
    return found


def call_ms(run: Run, step: int) -> float:
    """The mean call of a step; 0 of one that made none."""
    calls = calls_of(visits_of(run, step))
    return float((calls.finish_ns - calls.start_ns).mean() / 1e6) if len(calls) else 0.0
