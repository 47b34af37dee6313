"""Whether the run had the machine for itself."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.checks.facts import Facts
from rnb.analysis.machine_use import CPUS, OtherUse, gpu_name
from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.sustained import stretch_ns
from rnb.analysis.watched_nodes import WatchedNode, watched_nodes

NOTED_SHARE, MAX_SHARE = 0.10, 0.25
"""Of a device that the run may use, over any stretch of the measured phase."""


def other_load(facts: Facts) -> Finding | None:
    found = [use for use in facts.others_use if use.highest > MAX_SHARE]
    if not found:
        return None
    return Finding(
        reason=Reason.OTHER_LOAD,
        seen=f"{_taken(facts, found)}; {MAX_SHARE:.0%} may be{_by_whom(facts, found)}",
        advice="end it, or wait until the machine is free, or give the run CPUs and GPUs of its own",
    )


def load_note(facts: Facts) -> str | None:
    found = [use for use in facts.others_use if NOTED_SHARE < use.highest <= MAX_SHARE]
    return f"{_taken(facts, found)}{_by_whom(facts, found)}" if found else None


def is_loaded(facts: Facts) -> bool:
    """Whether others took so much of the CPUs that they may be the cause of what else shows."""
    return any(use.highest > NOTED_SHARE for use in facts.others_use)


def _taken(facts: Facts, found: list[OtherUse]) -> str:
    seconds = stretch_ns(facts.run) / 1e9
    shown = [f"up to {use.highest:.0%} of {use.title} ({use.mean:.0%} on average)" for use in found]
    return f"others took {', '.join(shown)} for {seconds:.1f} s"


def _by_whom(facts: Facts, found: list[OtherUse]) -> str:
    """Who they were, where they could be seen: the busiest on the CPUs, and all on the GPUs."""
    names = dict.fromkeys(name for use in found for name in _names(use, watched_nodes(facts.run)))
    return f": {', '.join(names)}" if names else ""


def _names(use: OtherUse, nodes: Sequence[WatchedNode]) -> list[str]:
    provenance = use.node.provenance
    if use.device == CPUS:
        known = provenance.get("other_processes", [])
    else:
        on_gpus = provenance.get("other_gpu_processes", [])
        known = [one for one in on_gpus if gpu_name(one["gpu"]) == use.device]
    same = [node.provenance for node in nodes if node.is_one_machine_with(use.node)]
    own = {pid for one in same for pid in one.get("pids", {}).values()}
    return [f"{one['name']} (pid {one['pid']})" for one in known if one["pid"] not in own]
