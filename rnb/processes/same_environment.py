"""Whether the nodes of a run are alike: the code, Python, packages, and the kind of GPU where one is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rnb.contract.termination import UsageError

Environment = Mapping[str, str]
"""What has to be the same on all nodes, by name; `rnb/observe/environment.py` finds it out."""
GPUS = "GPUs"
"""Of the names: that which counts only on nodes with replicas on a GPU."""
NICENESS = "niceness"
TO_DO = {NICENESS: "start Ray there with RAY_worker_niceness=0"}
"""By name, where a difference has a usual reason."""


def check_same(environments: Mapping[int, Environment], *, with_gpus: Collection[int]) -> None:
    """Raises UsageError with all that differs on the first node that is not like the ones before it.

    `environments`: of each node; `with_gpus`: the nodes that use theirs.
    """
    first_with_gpus = min(with_gpus, default=0)
    for node in sorted(environments):
        differing = _differing(environments[0], environments[node])
        if differing:
            _refuse(node, "the driver's", differing)
        if node in with_gpus:
            kinds, wanted = environments[node][GPUS], environments[first_with_gpus][GPUS]
            if kinds != wanted:
                _refuse(node, f"node {first_with_gpus}", [f"{GPUS} {kinds}, not {wanted}"])


def _differing(ours: Environment, theirs: Environment) -> list[str]:
    names = [name for name in {**ours, **theirs} if name != GPUS]
    return [
        f"{name} {theirs.get(name, 'unknown')}, not {ours.get(name, 'unknown')}{_to_do(name)}"
        for name in names
        if theirs.get(name) != ours.get(name)
    ]


def _to_do(name: str) -> str:
    return f" ({TO_DO[name]})" if name in TO_DO else ""


def _refuse(node: int, other: str, differing: Collection[str]) -> None:
    raise UsageError(f"--cluster: node {node} differs from {other}: {'; '.join(differing)}")
