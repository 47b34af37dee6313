"""--find-peak: the highest rate at which a percentile of latency stays within a bound."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from rnb import console
from rnb.analysis.checks import DEFAULT_PERCENTILE, MIN_DURATION_S
from rnb.analysis.early_stopping import min_requests
from rnb.analysis.effects import latency_ms
from rnb.analysis.reasons import Reason
from rnb.analysis.statistics import align, nearest_rank, percentile_name
from rnb.arguments import DEFAULT_MEAN_INTERVAL_MS
from rnb.campaign import Campaign, RunFailed
from rnb.driver import UsageError
from rnb.peak_search import RESOLUTION, Peak, ProbeResult, search_peak
from rnb.report import Result

EXIT_FOUND, EXIT_FAILED, EXIT_NOT_FOUND = 0, 1, 3
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


def find_peak(args: argparse.Namespace) -> int:
    """Search; print a line for each probe and a table at the end. Returns the exit status.

    Raises UsageError.
    """
    args.percentile = args.percentile or DEFAULT_PERCENTILE
    _check_number_of_requests(args)
    campaign = Campaign(_at(args, args.mean_interval_ms or DEFAULT_MEAN_INTERVAL_MS), "peak")
    probes: list[ProbeResult] = []

    def probe(rate_per_s: float) -> ProbeResult:
        probes.append(_probe(campaign, args, rate_per_s))
        console.say(_line(probes[-1], args))
        return probes[-1]

    console.say(f"the highest rate with {_bound(args)}; each probe is a run in {campaign.folder}")
    try:
        peak = search_peak(probe, start_per_s=_start_per_s(args, campaign), resolution=RESOLUTION)
    except RunFailed as error:
        console.warn(f"benchmark.py: {error}")
        return EXIT_FAILED
    console.say("\n".join(["", *_table(probes, args), ""]))
    console.conclude("\n".join(_conclusion(peak, args)))
    console.emit({"folder": campaign.folder, **asdict(peak), "probes": [asdict(one) for one in probes]})
    if not campaign.draw():
        return EXIT_FAILED
    return EXIT_FOUND if peak.passing else EXIT_NOT_FOUND


def _check_number_of_requests(args: argparse.Namespace) -> None:
    least = min_requests(0, args.percentile)
    if args.duration is None and args.videos < least:
        raise UsageError(
            f"-v {args.videos}: --find-peak needs at least {least} requests to show that"
            f" {percentile_name(args.percentile)} is within --slo"
        )


def _at(args: argparse.Namespace, mean_interval_ms: float) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), "mean_interval_ms": mean_interval_ms})


def _bound(args: argparse.Namespace) -> str:
    return f"{percentile_name(args.percentile)} within {args.slo:g} ms"


def _start_per_s(args: argparse.Namespace, campaign: Campaign) -> float:
    """The rate of -mi, or half of what the pipeline does when all requests come at once."""
    if args.mean_interval_ms:
        return float(1e3 / args.mean_interval_ms)
    num_requests = min(args.videos or NUM_BULK_REQUESTS, NUM_BULK_REQUESTS)
    asked = {"videos": num_requests, "duration": None, "slo": None, "percentile": None}
    rate_per_s = campaign.run(mean_interval_ms=0, **asked).summary.videos_per_s
    console.say(f"{rate_per_s:10.2f} requests/s when all come at once; the search begins at half of that")
    return rate_per_s / 2


def _probe(campaign: Campaign, args: argparse.Namespace, rate_per_s: float) -> ProbeResult:
    """A run at a rate. With the same seed its schedule is that of the other probes, stretched."""
    interval_ms = float(f"{1e3 / rate_per_s:.6g}")
    result = campaign.run(mean_interval_ms=interval_ms)
    reasons = [finding.reason for finding in result.verdict.findings]
    bound = result.verdict.tail_bound
    if Reason.TOO_FEW_REQUESTS in reasons and bound is not None and not bound.num_over:
        raise UsageError(
            f"--duration {args.duration:g}: too short at {rate_per_s:.4g} requests/s: {bound.num_requests}"
            f" requests, and {percentile_name(args.percentile)} takes at least {bound.num_needed}"
        )
    told = [TOLD_AS.get(reason, reason.value) for reason in reasons if reason is not Reason.TOO_SHORT]
    passes = result.is_success and not DISQUALIFYING.intersection(reasons)
    return ProbeResult(
        rate_per_s=1e3 / interval_ms,
        passes=passes,
        outcome=f"{'passes' if passes else 'fails'}{': ' if told else ''}{', '.join(told)}",
        percentile_ms=_percentile_ms(result, args.percentile),
        goodput_per_s=result.summary.goodput.per_s if result.summary.goodput else None,
        num_requests=result.summary.num_scheduled,
        seconds=result.summary.seconds,
        folder=result.run.folder,
        is_client_late=Reason.CLIENT_LATE in reasons and Reason.BOUND_MISSED not in reasons,
    )


def _percentile_ms(result: Result, percentile: float) -> float | None:
    run = result.run
    rows = np.flatnonzero(run.is_measured & (run.requests["status"] == "finished"))
    return nearest_rank(np.sort(latency_ms(run, rows)), percentile) if len(rows) else None


def _line(probe: ProbeResult, args: argparse.Namespace) -> str:
    percentile = f"{percentile_name(args.percentile)} {_number(probe.percentile_ms)} ms"
    return f"{probe.rate_per_s:10.2f} requests/s: {percentile}, {probe.outcome}"


def _table(probes: Sequence[ProbeResult], args: argparse.Namespace) -> list[str]:
    """All probes, the slowest rate first."""
    header = ["requests/s", f"{percentile_name(args.percentile)} ms", "goodput/s", "requests", "seconds"]
    in_order = sorted(probes, key=lambda probe: probe.rate_per_s)
    rows = [
        [
            f"{probe.rate_per_s:.2f}",
            _number(probe.percentile_ms),
            _number(probe.goodput_per_s),
            str(probe.num_requests),
            f"{probe.seconds:.1f}",
        ]
        for probe in in_order
    ]
    outcomes = ["outcome", *(probe.outcome for probe in in_order)]
    return [f"{row}  {outcome}" for row, outcome in zip(align([header, *rows]), outcomes, strict=True)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _conclusion(peak: Peak, args: argparse.Namespace) -> list[str]:
    if peak.passing is None:
        assert peak.failing is not None
        return [f"no peak: {_bound(args)} is not kept even at {peak.failing.rate_per_s:.2f} requests/s"]
    if peak.failing is None:
        return [f"no limit: {peak.passing.rate_per_s:.2f} requests/s still keep {_bound(args)}"]
    lines = [
        f"peak: {peak.passing.rate_per_s:.2f} requests/s keep {_bound(args)};"
        f" {peak.failing.rate_per_s:.2f} do not (they are at most {RESOLUTION:.0%} apart)"
    ]
    if peak.failing.is_client_late:
        lines.append(f"  the client could not keep up, not the pipeline: --clients {2 * args.clients}")
    least_s = MIN_DURATION_S if args.min_duration is None else args.min_duration
    if peak.passing.seconds < least_s:
        lines.append(
            f"  it rests on {peak.passing.seconds:.1f} s of load; VALID runs take {least_s:g} s:"
            f" --duration {least_s:g}"
        )
    return lines
