"""Who used the machine while a run played: its own processes, and others, from the telemetry."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.sustained import highest_mean
from rnb.analysis.watched_nodes import WatchedNode, watched_nodes
from rnb.record.run import Run, Times

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


def cpu_uses(run: Run) -> list[tuple[WatchedNode, CpuUse]]:
    """Of each node, or of the run's only machine, where the telemetry tells."""
    nodes = watched_nodes(run)
    own = {node.node: _own(node) for node in nodes}
    found = []
    for node in nodes:
        num_cpus = node.provenance.get("num_cpus")
        if "cpu.percent" not in node.telemetry or not num_cpus:
            continue
        times_ns = node.telemetry["time_ns"]
        total = (node.telemetry["cpu.percent"] + _stolen(node)) / 100
        used = sum(_total_at(times_ns, other, own[other.node]) for other in nodes if _share_cpus(node, other))
        others = np.maximum(total - used / num_cpus, 0.0)
        use = CpuUse(times_ns=times_ns, others=others, total=total, by_process=own[node.node])
        found.append((node, use))
    return found


def _own(node: WatchedNode) -> dict[str, Shares]:
    return {CHILDREN: np.nan_to_num(node.telemetry.get("children.cpu_percent", np.zeros(1))) / 100} | {
        match["name"]: np.nan_to_num(values) / 100
        for column, values in node.telemetry.items()
        if (match := _PROCESS.fullmatch(column))
    }


def _stolen(node: WatchedNode) -> Shares:
    stolen: Shares = np.nan_to_num(node.telemetry.get("cpu.steal_percent", np.zeros(1)))
    return stolen


def _share_cpus(node: WatchedNode, other: WatchedNode) -> bool:
    return node is other or node.is_one_machine_with(other)


def _total_at(times_ns: Times, node: WatchedNode, own: dict[str, Shares]) -> Shares:
    """What the processes of a node used, as the mean since the time before."""
    sampled_ns = node.telemetry["time_ns"]
    total = sum(own.values()) * np.ones(len(sampled_ns))
    used = np.concatenate([[0.0], np.cumsum(total[1:] * np.diff(sampled_ns))])
    since = np.diff(np.interp(times_ns, sampled_ns, used)) / np.diff(times_ns)
    return np.concatenate([total[:1], since])


@dataclass(frozen=True, kw_only=True)
class OtherUse:
    """What others took of a device, as shares of what the run's processes may use."""

    device: str
    """CPUS, or a GPU as 'gpu0'."""
    node: WatchedNode
    highest: float
    """Over any stretch of the measured phase."""
    mean: float

    @property
    def title(self) -> str:
        return self.node.title(self.device)


def others_use(run: Run) -> list[OtherUse]:
    """Of the CPUs and of each GPU of each node, where the telemetry tells."""
    series = [(node, CPUS, use.others) for node, use in cpu_uses(run)]
    for node in watched_nodes(run):
        for column, values in node.telemetry.items():
            if match := _GPU_OTHERS.fullmatch(column):
                series.append((node, match["gpu"], values / 100))
    return [use for node, device, values in series if (use := _other_use(run, node, device, values))]


def gpu_name(index: int) -> str:
    """How a GPU of the plan is called in the telemetry."""
    return f"gpu{index}"


def _other_use(run: Run, node: WatchedNode, device: str, values: Shares) -> OtherUse | None:
    times_ns = node.telemetry["time_ns"]
    highest = highest_mean(run, times_ns, values)
    if highest is None:
        return None
    return OtherUse(device=device, node=node, highest=highest, mean=mean_use(run, times_ns, values))


def mean_use(run: Run, times_ns: Times, values: Shares) -> float:
    """The mean of the samples of the measured phase; NaN where none is known."""
    start_ns, end_ns = run.window_ns
    inside = values[(times_ns > start_ns) & (times_ns <= end_ns) & ~np.isnan(values)]
    return float(inside.mean()) if len(inside) else float(np.nanmean(values))
