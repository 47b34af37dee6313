"""The highest rate at which a percentile of latency stays within a bound; each probe is a run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnb.analysis.early_stopping import min_requests
from rnb.analysis.reasons import Reason
from rnb.analysis.statistics import nearest_rank, percentile_name
from rnb.campaigns.bisection import RESOLUTION, Peak, ProbeResult, search_peak
from rnb.campaigns.campaign import Campaign
from rnb.campaigns.outcome import Outcome
from rnb.contract.termination import UsageError
from rnb.spec import RunSpec

NUM_BULK_REQUESTS = 500
"""Most requests of the run that estimates where to begin."""
DISQUALIFYING = {
    Reason.QUEUE_FULL,
    Reason.REQUESTS_LOST,
    Reason.REQUESTS_FAILED,
    Reason.BOUND_MISSED,
    Reason.TOO_FEW_REQUESTS,
    Reason.CLIENT_LATE,
}
"""What makes a probe fail. One that is INVALID only for other reasons, as being too short, passes."""

TOLD_AS = {Reason.TOO_FEW_REQUESTS: "too few requests to show it"}


def check_number_of_requests(spec: RunSpec) -> None:
    """Raises UsageError where even a probe with no request over the bound would show nothing."""
    percentile, load = spec.limits.percentile, spec.load
    assert percentile is not None
    least = min_requests(0, percentile)
    if load.duration is None and (load.videos or 0) < least:
        raise UsageError(
            f"-v {load.videos}: --find-peak needs at least {least} requests to show that"
            f" {percentile_name(percentile)} is within --slo"
        )


def bulk_rate_per_s(campaign: Campaign) -> float:
    """What the pipeline does when all requests come at once. Raises UsageError, RunFailed."""
    num_requests = min(campaign.spec.load.videos or NUM_BULK_REQUESTS, NUM_BULK_REQUESTS)
    at_once = campaign.spec.with_load(mean_interval_ms=0, videos=num_requests, duration=None)
    return campaign.run(at_once.with_limits(slo=None, percentile=None)).summary.videos_per_s


def find_peak(campaign: Campaign, start_per_s: float, on_probe: Callable[[ProbeResult], None]) -> Peak:
    """Search; `on_probe` gets each probe as it is done. Raises UsageError, RunFailed."""

    def probe(rate_per_s: float) -> ProbeResult:
        result = _probe(campaign, rate_per_s)
        on_probe(result)
        return result

    return search_peak(probe, start_per_s=start_per_s, resolution=RESOLUTION)


def _probe(campaign: Campaign, rate_per_s: float) -> ProbeResult:
    """A run at a rate. With the same seed its schedule is that of the other probes, stretched."""
    interval_ms = float(f"{1e3 / rate_per_s:.6g}")
    spec = campaign.spec.with_load(mean_interval_ms=interval_ms)
    percentile = spec.limits.percentile
    assert percentile is not None
    outcome = campaign.run(spec)
    reasons = [finding.reason for finding in outcome.verdict.findings]
    bound = outcome.verdict.tail_bound
    if Reason.TOO_FEW_REQUESTS in reasons and bound is not None and not bound.num_over:
        raise UsageError(
            f"--duration {spec.load.duration:g}: too short at {rate_per_s:.4g} requests/s:"
            f" {bound.num_requests} requests, and {percentile_name(percentile)} takes at least"
            f" {bound.num_needed}"
        )
    told = [TOLD_AS.get(reason, reason.value) for reason in reasons if reason is not Reason.TOO_SHORT]
    passes = outcome.is_success and not DISQUALIFYING.intersection(reasons)
    return ProbeResult(
        rate_per_s=1e3 / interval_ms,
        passes=passes,
        outcome=f"{'passes' if passes else 'fails'}{': ' if told else ''}{', '.join(told)}",
        percentile_ms=_percentile_ms(outcome, percentile),
        goodput_per_s=outcome.summary.goodput.per_s if outcome.summary.goodput else None,
        num_requests=outcome.summary.num_scheduled,
        seconds=outcome.summary.seconds,
        folder=outcome.run.folder,
        is_client_late=Reason.CLIENT_LATE in reasons and Reason.BOUND_MISSED not in reasons,
    )


def _percentile_ms(outcome: Outcome, percentile: float) -> float | None:
    latencies_ms = outcome.run.latency_ms[outcome.run.finished]
    return nearest_rank(np.sort(latencies_ms), percentile) if len(latencies_ms) else None
