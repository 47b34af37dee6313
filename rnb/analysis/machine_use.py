"""Who used the machine while a run played: its own processes, and others, from the telemetry."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.sustained import highest_mean
from rnb.record.run import Run, Table, Times
from rnb.record.tables import TELEMETRY

Shares = NDArray[np.float64]
CPUS, CHILDREN = "the CPUs", "children"
_PROCESS = re.compile(r"process\.(?P<name>.+)\.cpu_percent")
_GPU_OTHERS = re.compile(r"(?P<gpu>gpu\d+)\.others_percent")


@dataclass(frozen=True, kw_only=True)
class CpuUse:
    """The CPUs that the run may use, over time: shares of all of them, since the sample before."""

    times_ns: Times
    others: Shares
    """Busy for other processes, or taken by the host of a virtual machine."""
    total: Shares
    by_process: dict[str, Shares]
    """The run's own, by name, as shares of one CPU."""


def cpu_use(run: Run) -> CpuUse | None:
    """None where the telemetry does not tell."""
    telemetry, num_cpus = run.tables.get(TELEMETRY, {}), run.meta.provenance.get("num_cpus")
    if "cpu.percent" not in telemetry or not num_cpus:
        return None
    own = {
        CHILDREN: np.nan_to_num(telemetry.get("children.cpu_percent", np.zeros(1))) / 100,
    } | {
        match["name"]: np.nan_to_num(values) / 100
        for column, values in telemetry.items()
        if (match := _PROCESS.fullmatch(column))
    }
    stolen = np.nan_to_num(telemetry.get("cpu.steal_percent", np.zeros(1))) / 100
    total = telemetry["cpu.percent"] / 100 + stolen
    others = np.maximum(total - sum(own.values()) / num_cpus, 0.0)
    return CpuUse(times_ns=telemetry["time_ns"], others=others, total=total, by_process=own)


@dataclass(frozen=True, kw_only=True)
class OtherUse:
    """What others took of a device, as shares of what the run's processes may use."""

    device: str
    """CPUS, or a GPU as 'gpu0'."""
    highest: float
    """Over any stretch of the measured phase."""
    mean: float


def others_use(run: Run) -> list[OtherUse]:
    """Of the CPUs and of each GPU, where the telemetry tells."""
    telemetry, cpus = run.tables.get(TELEMETRY, {}), cpu_use(run)
    series = {CPUS: cpus.others} if cpus else {}
    for column, values in telemetry.items():
        if match := _GPU_OTHERS.fullmatch(column):
            series[match["gpu"]] = values / 100
    return [use for name, values in series.items() if (use := _other_use(run, name, telemetry, values))]


def gpu_name(index: int) -> str:
    """How a GPU of the plan is called in the telemetry."""
    return f"gpu{index}"


def _other_use(run: Run, device: str, telemetry: Table, values: Shares) -> OtherUse | None:
    highest = highest_mean(run, telemetry["time_ns"], values)
    if highest is None:
        return None
    return OtherUse(device=device, highest=highest, mean=mean_use(run, telemetry["time_ns"], values))


def mean_use(run: Run, times_ns: Times, values: Shares) -> float:
    """The mean of the samples of the measured phase; NaN where none is known."""
    start_ns, end_ns = run.window_ns
    inside = values[(times_ns > start_ns) & (times_ns <= end_ns) & ~np.isnan(values)]
    return float(inside.mean()) if len(inside) else float(np.nanmean(values))
