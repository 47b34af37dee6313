"""How well the steps of a run used their GPUs: the figures of --occupancy, over the measured phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Run, Table
from rnb.record.tables import COUNTERS, KERNEL_WINDOWS, KERNELS, OCCUPANCY

NUM_TOP = 10
FEWEST_OWN_NS = 50_000_000
"""What a step reached is not told from less time than this in which only its kernels ran."""

Counters = dict[str, float | None]
"""COUNTERS, in % of peak; None: not known."""
Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class GpuUse:
    gpu: int
    counters: Counters


@dataclass(frozen=True, kw_only=True)
class KernelUse:
    """All launches of one kernel in the traced windows."""

    name: str
    launches_per_s: float
    mean_us: float
    share: float
    """Of the step's kernel time."""
    theoretical_occupancy_pct: float | None


@dataclass(frozen=True, kw_only=True)
class StepUse:
    """What one step ran on one GPU, of all its runners there."""

    step: int
    gpu: int
    num_runners: int
    traced_s: float
    """How long each of them was traced, on average."""
    kernels_per_s: float
    """Of all runners together."""
    busy: float
    """The share of the time in which a runner had at least one kernel running, on average."""
    gap_p50_us: float | None
    gap_p99_us: float | None
    """Between the kernels of one runner: the median over the windows of each window's percentile."""
    gap_max_us: float
    counters: Counters
    """While the GPU ran kernels of this step only; None where that was too rarely."""
    own_s: float
    """How long that was in all windows together."""
    top: list[KernelUse]


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    gpus: list[GpuUse]
    steps: list[StepUse]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def occupancy_of(run: Run) -> Occupancy | None:
    """None for a run without --occupancy, or where there was nothing to see."""
    over_time, windows = run.tables.get(OCCUPANCY), run.tables.get(KERNEL_WINDOWS)
    if over_time is None and windows is None:
        return None
    return Occupancy(
        gpus=[] if over_time is None else _gpus(run, over_time),
        steps=[] if windows is None else _steps(run, windows),
    )


def _gpus(run: Run, table: Table) -> list[GpuUse]:
    start_ns, end_ns = run.window_ns
    inside = (table["time_ns"] >= start_ns) & (table["time_ns"] < end_ns)
    columns = {name: values[inside] for name, values in table.items()}
    numbers = sorted({int(name[3 : name.index(".")]) for name in columns if name.startswith("gpu")})
    return [
        GpuUse(gpu=gpu, counters=_means({name: columns[f"gpu{gpu}.{name}"] for name in COUNTERS}))
        for gpu in numbers
    ]


def _means(columns: dict[str, NDArray[np.float64]], weights: NDArray[np.float64] | None = None) -> Counters:
    """Occupancy is weighted by how busy the multiprocessors were: without work there is none."""
    weights = np.ones(len(columns["sm_busy_pct"])) if weights is None else weights
    return {
        name: _mean(values, weights * (columns["sm_busy_pct"] if name == "occupancy_pct" else 1))
        for name, values in columns.items()
    }


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    known = np.isfinite(values) & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else None


def _steps(run: Run, windows: Table) -> list[StepUse]:
    start_ns, end_ns = run.window_ns
    middle_ns = (windows["start_ns"] + windows["end_ns"]) // 2
    inside = (middle_ns >= start_ns) & (middle_ns < end_ns)
    pairs = sorted(set(zip(windows["step"].tolist(), windows["gpu"].tolist(), strict=True)))
    found = {pair: inside & (windows["step"] == pair[0]) & (windows["gpu"] == pair[1]) for pair in pairs}
    return [_step(run.tables, *pair, np.flatnonzero(rows)) for pair, rows in found.items() if rows.any()]


def _step(tables: Mapping[str, Table], step: int, gpu: int, rows: Rows) -> StepUse:
    windows = {name: values[rows] for name, values in tables[KERNEL_WINDOWS].items()}
    traced_ns = (windows["end_ns"] - windows["start_ns"]).astype(np.float64)
    num_runners = len(set(windows["replica"].tolist()))
    seconds = float(traced_ns.sum()) / num_runners / 1e9
    own_ns = windows["own_ns"]
    is_known = own_ns.sum() >= FEWEST_OWN_NS
    return StepUse(
        step=step,
        gpu=gpu,
        num_runners=num_runners,
        traced_s=seconds,
        kernels_per_s=float(windows["num_kernels"].sum()) / seconds,
        busy=float(windows["busy_ns"].sum() / traced_ns.sum()),
        gap_p50_us=_median_us(windows["gap_p50_ns"]),
        gap_p99_us=_median_us(windows["gap_p99_ns"]),
        gap_max_us=float(windows["gap_max_ns"].max()) / 1e3,
        counters=_means({name: windows[name] for name in COUNTERS}, own_ns)
        if is_known
        else dict.fromkeys(COUNTERS),
        own_s=float(own_ns.sum()) / 1e9,
        top=_top(tables[KERNELS], rows, seconds),
    )


def _median_us(values_ns: NDArray[np.float64]) -> float | None:
    known = values_ns[np.isfinite(values_ns)]
    return float(np.median(known)) / 1e3 if len(known) else None


def _top(kernels: Table, windows: Rows, seconds: float) -> list[KernelUse]:
    """The kernels that took the most time in these windows together."""
    rows = np.isin(kernels["window"], windows)
    names, which = np.unique(kernels["kernel"][rows].astype(str), return_inverse=True)
    total_ns = kernels["total_ns"][rows].astype(np.float64)
    launches = np.bincount(which, kernels["num_launches"][rows], len(names))
    time_ns = np.bincount(which, total_ns, len(names))
    occupancy = np.bincount(which, total_ns * kernels["theoretical_occupancy_pct"][rows], len(names))
    return [
        KernelUse(
            name=str(names[kernel]),
            launches_per_s=float(launches[kernel]) / seconds,
            mean_us=float(time_ns[kernel] / launches[kernel]) / 1e3,
            share=float(time_ns[kernel] / time_ns.sum()),
            theoretical_occupancy_pct=_known(occupancy[kernel] / time_ns[kernel]),
        )
        for kernel in np.argsort(-time_ns, kind="stable")[:NUM_TOP]
        if time_ns[kernel] > 0
    ]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
