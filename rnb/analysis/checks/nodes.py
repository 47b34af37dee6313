"""Whether the clocks of several nodes are known well enough for the stages between them."""

from __future__ import annotations

from rnb.analysis.checks.facts import Facts
from rnb.analysis.crossings import crossed_stages
from rnb.analysis.reasons import Finding, Reason

MOST_SHARE = 0.1
"""Of a stage: clocks that are further off say little of it."""


def clocks_apart(facts: Facts) -> Finding | None:
    worst = max(crossed_stages(facts.run), key=lambda one: one.share, default=None)
    if worst is None or worst.share <= MOST_SHARE:
        return None
    return Finding(
        reason=Reason.CLOCKS_APART,
        seen=(
            f"{worst.stage.title()} took {worst.median_ns / 1e3:,.0f} us (p50) between nodes, whose clocks"
            f" are known to {worst.bound_ns / 1e3:,.0f} us; {MOST_SHARE:.0%} of a stage may be"
        ),
        advice="nodes with less other work, or a network with a shorter round trip",
    )


def clock_bound_note(facts: Facts) -> str | None:
    stages = crossed_stages(facts.run)
    if not stages:
        return None
    told = ", ".join(f"{one.stage.title()} {one.bound_ns / 1e3:,.0f} us" for one in stages)
    return f"between nodes each time is known to within: {told}; within a node it is exact"
