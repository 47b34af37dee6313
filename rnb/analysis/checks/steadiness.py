"""Whether the run kept its level."""

from __future__ import annotations

import math

import numpy as np

from rnb.analysis.checks.facts import Facts
from rnb.analysis.littles_law import littles_law
from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.steady_state import IN_SYSTEM

MAX_LITTLE_DEVIATION, MIN_LITTLE_REQUESTS = 0.1, 100


def not_steady(facts: Facts) -> Finding | None:
    if facts.steady.is_steady is not False:
        return None
    changes = [change for change in facts.steady.changes if change.is_found]
    if facts.flag("ramp"):
        advice = "a --warmup in which the --ramp ends"
    elif any(change.series == IN_SYSTEM and change.change > 0 for change in changes):
        advice = f"{facts.slower()}, since the queues grow"
    elif not facts.flag("warmup"):
        advice = f"--warmup {_num_due_before(facts, facts.steady.start_s or 0.0)}"
    else:
        advice = facts.longer(3)
    return Finding(reason=Reason.NOT_STEADY, seen=facts.steady.reason, advice=advice)


def _num_due_before(facts: Facts, seconds: float) -> int:
    """At least a tenth of the requests."""
    due_s = (facts.due_ns - facts.run.window_ns[0]) / 1e9
    return max(math.ceil(facts.num_measured / 10), int(np.count_nonzero(due_s < seconds)))


def littles_law_broken(facts: Facts) -> Finding | None:
    if facts.is_bulk or facts.num_measured < MIN_LITTLE_REQUESTS:
        return None
    last_due_s = float(facts.due_ns.max() - facts.run.window_ns[0]) / 1e9
    law = littles_law(facts.run, 0.0, last_due_s)
    if law is None or abs(law.relative_deviation) <= MAX_LITTLE_DEVIATION:
        return None
    return Finding(
        reason=Reason.LITTLES_LAW,
        seen=(
            f"{law.num_in_system:.2f} requests were in the pipeline on average, but rate times latency is"
            f" {law.arrivals_per_s * law.mean_latency_ms / 1000:.2f}; {MAX_LITTLE_DEVIATION:.0%} more or less"
            " may be"
        ),
        advice=f"{facts.slower()} if the queues grow, else {facts.longer(3)}",
    )


def steady_note(facts: Facts) -> str | None:
    if facts.steady.is_steady and facts.steady.start_s and not facts.is_bulk:
        num_before = _num_due_before(facts, facts.steady.start_s)
        return (
            f"steady from {facts.steady.start_s:.1f} s on; --warmup {num_before} leaves out what came before"
        )
    return None
