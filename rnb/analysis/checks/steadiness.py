"""Whether the run kept its level."""

from __future__ import annotations

import math

import numpy as np

from rnb.analysis.checks.facts import Facts
from rnb.analysis.littles_law import littles_law
from rnb.analysis.reasons import Finding, Reason

MAX_LITTLE_DEVIATION, MIN_LITTLE_REQUESTS = 0.1, 100
LONGER = 3
"""How many times as long a run is advised to be."""


def not_steady(facts: Facts) -> Finding | None:
    if facts.steady.is_steady is not False:
        return None
    return Finding(reason=Reason.NOT_STEADY, seen=facts.steady.reason, advice=_advice(facts))


def _advice(facts: Facts) -> str:
    steady = facts.steady
    if facts.flag("ramp"):
        return "a --warmup in which the --ramp ends"
    if steady.backlog and steady.backlog.has_grown:
        return f"{facts.slower()}, since the queues grow"
    if steady.pauses and steady.pauses.is_large:
        return "see --trace for what stopped; if it is rare and real, " + facts.longer(LONGER)
    shifts = [change for change in steady.changes if change.is_found and change.at_s]
    if shifts and not facts.flag("warmup"):
        return f"--warmup {_num_due_before(facts, max(change.at_s or 0.0 for change in shifts))}"
    return facts.longer(LONGER)


def _num_due_before(facts: Facts, seconds: float) -> int:
    """At least a tenth of the requests."""
    run = facts.run
    due_s = (run.due_ns[run.is_measured] - run.window_ns[0]) / 1e9
    return max(math.ceil(len(due_s) / 10), int(np.count_nonzero(due_s < seconds)))


def littles_law_broken(facts: Facts) -> Finding | None:
    if facts.is_bulk or facts.num_measured < MIN_LITTLE_REQUESTS:
        return None
    law = littles_law(facts.part)
    if law is None or abs(law.relative_deviation) <= MAX_LITTLE_DEVIATION:
        return None
    return Finding(
        reason=Reason.LITTLES_LAW,
        seen=(
            f"{law.num_in_system:.2f} requests were in the pipeline on average, but rate times latency is"
            f" {law.arrivals_per_s * law.mean_latency_ms / 1000:.2f}; {MAX_LITTLE_DEVIATION:.0%} more or less"
            " may be"
        ),
        advice=f"{facts.slower()} if the queues grow, else {facts.longer(LONGER)}",
    )


def steady_note(facts: Facts) -> str | None:
    return None


def cut_note(facts: Facts) -> str | None:
    if not facts.steady.is_cut or facts.steady.start_s is None:
        return None
    num_before = facts.part.num_warmup - facts.run.num_warmup
    return (
        f"steady from {facts.steady.start_s:.1f} s on: the figures leave out the {num_before} requests before"
        f" it; --warmup {_num_due_before(facts, facts.steady.start_s)} does so, too"
    )


def pause_note(facts: Facts) -> str | None:
    pauses = facts.steady.pauses
    if pauses is None or pauses.is_large:
        return None
    return f"{pauses}{'; they keep coming back' if pauses.is_recurring else ''}"
