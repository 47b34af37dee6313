"""What each node of a run over several did, and how well its clock is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnb.analysis.machine_use import CPUS, cpu_uses, mean_use, others_use
from rnb.analysis.utilization import Utilization, mean_shares
from rnb.record.run import Run


@dataclass(frozen=True, kw_only=True)
class NodeUse:
    """Shares are of the measured phase."""

    node: int
    host: str
    clock_bound_ns: int | None
    """No time of that node is further off; None of node 0, whose clock counts, and where it is not known."""
    num_replicas: int
    busy: float | None
    """In calls, the mean over its replicas."""
    cpus: float | None
    """Of its CPUs, on average; None without telemetry."""
    others: float | None
    """What others took of them, over any stretch."""


def node_uses(run: Run, replicas: Sequence[Utilization]) -> list[NodeUse]:
    """Of each node; none of a run on one machine. `replicas`: of all of them."""
    if not run.meta.nodes:
        return []
    cpus = {
        node.node: mean_use(run, use.times_ns, use.total)
        for node, use in cpu_uses(run)
        if np.isfinite(use.total).any()
    }
    others = {use.node.node: use.highest for use in others_use(run) if use.device == CPUS}
    return [_use(run, node, replicas, cpus, others) for node in run.meta.nodes]


def _use(
    run: Run,
    node: Mapping[str, Any],
    replicas: Sequence[Utilization],
    cpus: Mapping[int | None, float],
    others: Mapping[int | None, float],
) -> NodeUse:
    number, clock = node["node"], node.get("clock")
    own = [one for one in replicas if one.node == number]
    return NodeUse(
        node=number,
        host=node.get("host", ""),
        clock_bound_ns=clock["bound_ns"] if clock else None,
        num_replicas=sum(one.get("node", 0) == number for one in run.meta.replicas),
        busy=mean_shares(own)["busy"] if own else None,
        cpus=cpus.get(number),
        others=others.get(number),
    )
