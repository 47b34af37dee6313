"""The highest rate at which a percentile of latency stays within a bound; each probe is a run."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.early_stopping import min_requests
from rnb.analysis.estimate import mean_of
from rnb.analysis.load_curve import offered_per_s
from rnb.analysis.reasons import Reason
from rnb.analysis.statistics import nearest_rank, percentile_name
from rnb.campaigns.campaign import Campaign, RunFailed
from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome
from rnb.campaigns.peak_search import FAILS, PASSES, UNDECIDED, PeakSearch, ProbeResult
from rnb.campaigns.whole_search import WholeSearch
from rnb.contract.termination import Termination, UsageError
from rnb.record.run import Flags, Run
from rnb.spec import RunSpec

NUM_BULK_REQUESTS = 500
"""Most requests of the run that estimates where to begin."""
WARMUP_SHARE = 0.2
"""Of a probe's requests as many again come first, while the queues fill, and do not count."""
SHORT = 0.5
"""How long a probe is that finds the way."""
MOST_OVER = 10
"""A probe ends once so many times as many requests are over the bound as may be in all of it, or, of a low
percentile, half of the others too."""
MOST_LETTERS = 100
"""Of why a run failed."""
DISQUALIFYING = {Reason.QUEUE_FULL, Reason.REQUESTS_LOST, Reason.REQUESTS_FAILED, Reason.CLIENT_LATE}
"""What makes a probe fail whatever its latencies are."""
NOT_TOLD = {Reason.TOO_SHORT, Reason.TOO_FEW_REQUESTS, Reason.BOUND_MISSED}
"""What the verdict of a probe says in its own words, or does not ask for."""


def share_over(spec: RunSpec) -> float:
    """The share of the requests that may be over the bound."""
    assert spec.limits.percentile is not None
    return 1 - spec.limits.percentile / 100


def check_number_of_requests(spec: RunSpec) -> None:
    """Raises UsageError where even a probe with no request over the bound would show nothing."""
    if spec.load.duration is None:
        _check_enough(spec, spec.load.videos or 0, f"-v {spec.load.videos}")


def _check_enough(spec: RunSpec, num_requests: int, what: str) -> None:
    percentile = spec.limits.percentile
    assert percentile is not None
    least = min_requests(0, percentile)
    if num_requests < least:
        raise UsageError(
            f"{what}: --find-peak needs at least {least} requests to show that"
            f" {percentile_name(percentile)} is within --slo"
        )


def bulk_rate_per_s(campaign: Campaign) -> float:
    """What the pipeline does when all requests come at once. Raises UsageError, RunFailed."""
    num_requests = min(campaign.spec.load.videos or NUM_BULK_REQUESTS, NUM_BULK_REQUESTS)
    at_once = campaign.spec.with_load(mean_interval_ms=0, videos=num_requests, duration=None)
    return campaign.run(at_once.with_limits(slo=None, percentile=None)).summary.videos_per_s


def peak_search(campaign: Campaign, on_probe: Callable[[ProbeResult], None]) -> PeakSearch | WholeSearch:
    """A search that is yet to be run; `on_probe` gets each probe as it is done.

    Running it raises UsageError, RunFailed; what is known by then can be had of it. A run of live streams
    that fails, where one of fewer did not, has too many: each takes memory where it is decoded, say.
    """
    numbers = iter(range(1_000_000))
    load, ran_per_s = campaign.spec.load, math.inf

    def probe(rate_per_s: float, is_short: bool) -> ProbeResult:
        nonlocal ran_per_s
        try:
            result = _probe(campaign, rate_per_s, is_short=is_short, number=next(numbers))
            ran_per_s = min(ran_per_s, rate_per_s)
        except RunFailed as failed:
            has_ended = failed.outcome.run.meta.termination_flag == Termination.INTERRUPTED
            if load.live is None or has_ended or rate_per_s <= ran_per_s:
                raise
            result = _failed(failed.outcome, rate_per_s)
        on_probe(result)
        return result

    share = share_over(campaign.spec)
    if load.live is None:
        return PeakSearch(probe, share=share)
    return WholeSearch(probe, share=share, step_per_s=load.clients * load.live.fps / load.live.every)


def _failed(outcome: Outcome, rate_per_s: float) -> ProbeResult:
    """Of a run that says nothing but that the rate is too high."""
    why = textwrap.shorten(outcome.problem, MOST_LETTERS, placeholder="…")
    return ProbeResult(
        asked_per_s=rate_per_s,
        rate_per_s=rate_per_s,
        verdict=FAILS,
        outcome=f"{FAILS}: the run failed: {why}",
        num_requests=1,
        num_over=1,
        folder=outcome.run.folder,
    )


def _probe(campaign: Campaign, rate_per_s: float, *, is_short: bool, number: int) -> ProbeResult:
    """A run at a rate. Each has a seed of its own, so that they err independently of each other."""
    load, interval_ms = campaign.spec.load, float(f"{1e3 / rate_per_s:.6g}")
    streams = load.live and load.live.at_rate(rate_per_s, load.clients)
    if streams is not None:
        interval_ms = streams.interval_ms
    spec = _probe_spec(campaign.spec, interval_ms, is_short=is_short, number=number)
    if streams is not None:
        spec = spec.with_load(streams=streams.num)
    num_requests = _num_requests(spec)
    assert spec.limits.slo is not None
    share = share_over(spec)
    most = min(MOST_OVER * share, (1 + share) / 2)
    ending = EarlyEnd(bound_ms=spec.limits.slo, max_over=math.ceil(most * num_requests))
    outcome = campaign.run(spec, ending)
    run, reasons = outcome.run, [finding.reason for finding in outcome.verdict.findings]
    is_cut = ending.has_ended or bool(DISQUALIFYING.intersection(reasons))
    latencies_ms = run.latency_ms[run.is_measured]
    is_over: Flags = ~(latencies_ms <= spec.limits.slo)
    num_over = ending.max_over if is_cut else min(int(np.count_nonzero(is_over)), ending.max_over)
    verdict = FAILS if is_cut else _verdict(latencies_ms, spec)
    return ProbeResult(
        asked_per_s=1e3 / interval_ms,
        rate_per_s=1e3 / interval_ms if is_cut else offered_per_s(run) or 1e3 / interval_ms,
        verdict=verdict,
        outcome=_outcome_text(verdict, ending.has_ended, num_over / num_requests, reasons),
        num_requests=num_requests if is_cut else len(is_over),
        num_over=num_over,
        percentile_ms=_percentile_ms(run, spec),
        goodput_per_s=outcome.summary.goodput.per_s if outcome.summary.goodput else None,
        seconds=_load_s(run),
        folder=run.folder,
        is_client_late=Reason.CLIENT_LATE in reasons and not ending.has_ended,
    )


def _probe_spec(spec: RunSpec, interval_ms: float, *, is_short: bool, number: int) -> RunSpec:
    """Raises UsageError where the first probe has too few requests; later ones last as long as they need."""
    load, percentile = spec.load, spec.limits.percentile
    assert percentile is not None
    part = SHORT if is_short else 1.0
    spec = spec.with_load(mean_interval_ms=interval_ms, seed=load.seed + number)
    if load.duration is None:
        spec = spec.with_load(videos=max(math.ceil(part * (load.videos or 0)), min_requests(0, percentile)))
    else:
        if not number:
            what = f"--duration {load.duration:g} at {1e3 / interval_ms:.4g} requests/s"
            _check_enough(spec, _num_requests(spec), what)
        least_s = min_requests(0, percentile) * interval_ms / 1e3
        spec = spec.with_load(duration=max(part * load.duration, least_s))
    return spec.with_load(warmup=max(load.warmup, math.ceil(WARMUP_SHARE * _num_requests(spec))))


def _num_requests(spec: RunSpec) -> int:
    """That count, about."""
    load = spec.load
    if load.duration is None:
        return load.videos or 0
    assert load.mean_interval_ms
    return round(load.duration * 1e3 / load.mean_interval_ms)


def _verdict(latencies_ms: NDArray[np.float64], spec: RunSpec) -> str:
    """By intervals of the share that is over the bound, from batches of the probe.

    It passes where few enough are over half of the bound: late requests come in clusters, and a probe that
    saw none over the bound itself may have missed one.
    """
    assert spec.limits.slo is not None
    allowed, bound_ms = share_over(spec), spec.limits.slo
    half, whole = (mean_of((~(latencies_ms <= ms)).astype(np.float64)) for ms in (bound_ms / 2, bound_ms))
    if half.margin is not None and half.value + half.margin <= allowed:
        return PASSES
    return FAILS if whole.margin is not None and whole.value - whole.margin > allowed else UNDECIDED


def _outcome_text(verdict: str, has_ended: bool, share: float, reasons: list[Reason]) -> str:
    over = (
        f"more than {share:.1%} over the bound, ended early" if has_ended else f"{share:.2%} over the bound"
    )
    told = [] if has_ended else [reason.value for reason in reasons if reason not in NOT_TOLD]
    return f"{verdict}: {', '.join([over, *told])}"


def _load_s(run: Run) -> float:
    """How long requests were sent, those of the warm-up too."""
    due_ns = run.due_ns[run.due_ns < run.end_ns]
    return float(due_ns.max() - run.start_ns) / 1e9 if len(due_ns) else 0.0


def _percentile_ms(run: Run, spec: RunSpec) -> float | None:
    assert spec.limits.percentile is not None
    latencies_ms = run.latency_ms[run.finished]
    return nearest_rank(np.sort(latencies_ms), spec.limits.percentile) if len(latencies_ms) else None
