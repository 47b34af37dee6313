"""Whether the run is long enough for what it claims, and whether the claim holds."""

from __future__ import annotations

from rnb.analysis.checks.facts import MARGIN, Facts
from rnb.analysis.early_stopping import TailBound, min_requests
from rnb.analysis.reasons import Finding, Reason

MIN_DURATION_S = 60.0
"""Without --min-duration, for a run with --slo or --percentile: what MLPerf's mlperf.conf asked for at first.

It now asks for 600 s (*.Server.min_duration), of results that are published.
"""


def too_short(facts: Facts) -> Finding | None:
    least_s = facts.flag("min_duration", MIN_DURATION_S if facts.makes_claim else 0.0)
    seconds = facts.part.seconds
    if seconds >= least_s:
        return None
    return Finding(
        reason=Reason.TOO_SHORT,
        seen=f"the measured phase took {seconds:.1f} s, at least {least_s:g} s are asked for",
        advice=facts.longer(MARGIN * least_s / max(seconds, 1e-3)),
    )


def too_few(facts: Facts) -> Finding | None:
    bound, percentile = facts.tail_bound, facts.flag("percentile")
    if bound is not None:
        return _too_few_for(facts, bound)
    needed = 0 if percentile is None else min_requests(1, percentile)
    if facts.num_measured >= needed:
        return None
    return Finding(
        reason=Reason.TOO_FEW_REQUESTS,
        seen=f"{facts.num_measured} requests, and p{percentile:g} takes at least {needed}",
        advice=facts.longer(needed / facts.num_measured) if facts.num_measured else f"-v {needed}",
    )


def _too_few_for(facts: Facts, bound: TailBound) -> Finding | None:
    if bound.is_met or bound.is_exceeded:
        return None
    claim = f"show with 99 % confidence that p{bound.percentile:g} is"
    if bound.num_needed is None:
        seen, advice = f"{_over(bound)}; how many {claim} is not known at this load", facts.slower()
    else:
        seen = f"{_over(bound)}; {bound.num_missing} more within it {claim}"
        advice = facts.longer(bound.num_needed / bound.num_requests)
    return Finding(reason=Reason.TOO_FEW_REQUESTS, seen=seen, advice=advice)


def bound_missed(facts: Facts) -> Finding | None:
    bound = facts.tail_bound
    if bound is None or not bound.is_exceeded:
        return None
    return Finding(
        reason=Reason.BOUND_MISSED,
        seen=f"{_over(bound)}, p{bound.percentile:g} allows {100 - bound.percentile:.3g} %",
        advice=f"{facts.slower()}, or more replicas of the step that most requests wait for",
    )


def _over(bound: TailBound) -> str:
    return f"{bound.num_over} of {bound.num_requests} requests took more than {bound.bound_ms:g} ms"


def bound_note(facts: Facts) -> str | None:
    bound = facts.tail_bound
    if bound is None or not bound.is_met:
        return None
    return (
        f"p{bound.percentile:g} is at most {bound.bound_ms:g} ms, with 99 % confidence: {_over(bound)}, and"
        f" {bound.num_needed} requests are enough with as many over it"
    )
