"""--find-peak: the search, a line for each probe, and what it found."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rnb.analysis.checks.amount import MIN_DURATION_S
from rnb.analysis.checks.facts import DEFAULT_PERCENTILE
from rnb.analysis.peak import PeakFinding, Probe
from rnb.analysis.statistics import percentile_name
from rnb.campaigns import find_peak as search
from rnb.campaigns.bisection import RESOLUTION, Peak, ProbeResult
from rnb.campaigns.campaign import Campaign, Player
from rnb.command_line.campaign_page import draw
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_INVALID, EXIT_OK
from rnb.command_line.flags import DEFAULT_MEAN_INTERVAL_MS, spec_of
from rnb.show import console
from rnb.show.text.table import align
from rnb.spec import Limits


def find_peak(args: argparse.Namespace, player: Player) -> int:
    """Search; print a line for each probe and a table at the end; returns the exit status.

    Raises UsageError, RunFailed.
    """
    asked = spec_of(args)
    spec = asked.with_limits(percentile=asked.limits.percentile or DEFAULT_PERCENTILE)
    search.check_number_of_requests(spec)
    start_ms = spec.load.mean_interval_ms
    spec = spec.with_load(mean_interval_ms=start_ms or DEFAULT_MEAN_INTERVAL_MS)
    campaign, limits = Campaign(spec, Path(args.logs), "peak", player), spec.limits
    probes: list[ProbeResult] = []

    def on_probe(probe: ProbeResult) -> None:
        probes.append(probe)
        console.say(_line(probe, limits))

    console.say(f"the highest rate with {_bound(limits)}; each probe is a run in {campaign.folder}")
    start_per_s = 1e3 / start_ms if start_ms else _half_of_bulk(campaign)
    peak = search.find_peak(campaign, start_per_s, on_probe)
    console.say("\n".join(["", *_table(probes, limits), ""]))
    console.conclude("\n".join(_conclusion(peak, limits, args.clients)))
    console.emit({"folder": campaign.folder, **asdict(peak), "probes": [asdict(one) for one in probes]})
    if not draw(args.html, campaign.folder, _finding(peak, probes, limits)):
        return EXIT_FAILED
    return EXIT_OK if peak.passing else EXIT_INVALID


def _finding(peak: Peak, probes: Sequence[ProbeResult], limits: Limits) -> PeakFinding:
    assert limits.percentile is not None
    assert limits.slo is not None
    return PeakFinding(
        low_per_s=peak.passing.rate_per_s if peak.passing else None,
        high_per_s=peak.failing.rate_per_s if peak.failing else None,
        percentile=limits.percentile,
        slo_ms=limits.slo,
        probes=tuple(_probe(probe) for probe in probes),
    )


def _probe(probe: ProbeResult) -> Probe:
    return Probe(
        rate_per_s=probe.rate_per_s,
        offered_per_s=None,
        percentile_ms=probe.percentile_ms,
        outcome="pass" if probe.passes else "fail",
    )


def _half_of_bulk(campaign: Campaign) -> float:
    rate_per_s = search.bulk_rate_per_s(campaign)
    console.say(f"{rate_per_s:10.2f} requests/s when all come at once; the search begins at half of that")
    return rate_per_s / 2


def _bound(limits: Limits) -> str:
    return f"{_percentile(limits)} within {limits.slo:g} ms"


def _percentile(limits: Limits) -> str:
    assert limits.percentile is not None
    return percentile_name(limits.percentile)


def _line(probe: ProbeResult, limits: Limits) -> str:
    percentile = f"{_percentile(limits)} {_number(probe.percentile_ms)} ms"
    return f"{probe.rate_per_s:10.2f} requests/s: {percentile}, {probe.outcome}"


def _table(probes: Sequence[ProbeResult], limits: Limits) -> list[str]:
    """All probes, the slowest rate first."""
    header = ["requests/s", f"{_percentile(limits)} ms", "goodput/s", "requests", "seconds"]
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


def _conclusion(peak: Peak, limits: Limits, num_clients: int) -> list[str]:
    if peak.passing is None:
        assert peak.failing is not None
        return [f"no peak: {_bound(limits)} is not kept even at {peak.failing.rate_per_s:.2f} requests/s"]
    if peak.failing is None:
        return [f"no limit: {peak.passing.rate_per_s:.2f} requests/s still keep {_bound(limits)}"]
    lines = [
        f"peak: {peak.passing.rate_per_s:.2f} requests/s keep {_bound(limits)};"
        f" {peak.failing.rate_per_s:.2f} do not (they are at most {RESOLUTION:.0%} apart)"
    ]
    if peak.failing.is_client_late:
        lines.append(f"  the client could not keep up, not the pipeline: --clients {2 * num_clients}")
    least_s = MIN_DURATION_S if limits.min_duration is None else limits.min_duration
    if peak.passing.seconds < least_s:
        lines.append(
            f"  it rests on {peak.passing.seconds:.1f} s of load; VALID runs take {least_s:g} s:"
            f" --duration {least_s:g}"
        )
    return lines
