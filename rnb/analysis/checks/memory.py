"""Whether the replicas give back the memory that each request takes."""

from __future__ import annotations

from rnb.analysis.checks.facts import Facts
from rnb.analysis.memory import memory_uses
from rnb.analysis.reasons import Finding, Reason


def memory_grows(facts: Facts) -> Finding | None:
    leaking = [use for use in memory_uses(facts.run) if use.growth_per_request_bytes]
    if not leaking:
        return None
    told = [
        f"{use.replica} keeps {(use.growth_per_request_bytes or 0) / 1024:,.1f} KiB of each request"
        for use in leaking
    ]
    steps = sorted({use.step for use in leaking})
    return Finding(
        reason=Reason.MEMORY_GROWS,
        seen=f"{', '.join(told)}; {max(use.held_bytes for use in leaking) / 1e6:,.0f} MB are held at the end",
        advice=f"mend {', '.join(steps)}, or replace its processes now and then: recycle_after in the config",
    )
