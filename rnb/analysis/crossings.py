"""The stages that begin on one node and end on another, and how well the clocks are known beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import SENT, Event, EventKind, Stage, StageKind
from rnb.record.run import Run


@dataclass(frozen=True, kw_only=True)
class CrossedStage:
    """The wait for a step, of requests that came to it from another node."""

    stage: Stage
    num_requests: int
    median_ns: float
    bound_ns: int
    """By how much each of its times may be off: the bounds of both clocks."""

    @property
    def share(self) -> float:
        """Of its median, what the clocks may be off; infinite where the median is not positive."""
        return self.bound_ns / self.median_ns if self.median_ns > 0 else np.inf


def crossed_stages(run: Run) -> list[CrossedStage]:
    """Of a run over several nodes, in the order of the steps; of a request in segments, its first one."""
    if not run.meta.nodes:
        return []
    found = [_crossed(run, step) for step in range(run.num_steps)]
    return [one for one in found if one is not None]


def _crossed(run: Run, step: int) -> CrossedStage | None:
    before = SENT if step == 0 else _first(run, EventKind.HANDED_ON, step - 1)
    taken = _first(run, EventKind.TAKEN, step)
    left_ns, taken_ns = run.times[before], run.times[taken]
    here, there = nodes_at(run, step), nodes_at(run, step - 1)
    crosses = (left_ns > 0) & (taken_ns > 0) & (here >= 0) & (there >= 0) & (here != there)
    if not crosses.any():
        return None
    bounds = np.array([_bound_ns(node) for node in run.meta.nodes])
    return CrossedStage(
        stage=Stage(StageKind.WAIT, step),
        num_requests=int(np.count_nonzero(crosses)),
        median_ns=float(np.median((taken_ns - left_ns)[crosses])),
        bound_ns=int((bounds[here] + bounds[there])[crosses].max()),
    )


def _first(run: Run, kind: EventKind, step: int) -> Event:
    """Of whole requests, or of the first segment."""
    whole = Event(kind, step)
    return whole if whole in run.times else Event(kind, step, 0)


def nodes_at(run: Run, step: int) -> NDArray[np.int64]:
    """The node on which each request was served; -1: none. The clients are on node 0."""
    if step < 0:
        return np.zeros(run.num_requests, np.int64)
    column: Any = run.requests.get(f"replica{step}", run.requests.get(f"replica{step}-0"))
    node_of = {one["replica"]: one.get("node", 0) for one in run.meta.replicas if one["step"] == step}
    return np.array([node_of.get(replica, -1) for replica in column.tolist()], np.int64)


def _bound_ns(node: dict[str, Any]) -> int:
    return node["clock"]["bound_ns"] if node["clock"] else 0
