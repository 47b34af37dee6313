"""--find-peak: the search, a line for each probe, and what it found."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnb.analysis.checks.facts import DEFAULT_PERCENTILE
from rnb.analysis.peak import PeakFinding, Probe, ProbeOutcome
from rnb.analysis.statistics import percentile_name
from rnb.campaigns import find_peak as search
from rnb.campaigns.campaign import Campaign, Player, RunFailed
from rnb.campaigns.peak_search import FAILS, PASSES, RESOLUTION, UNDECIDED, Peak, PeakSearch, ProbeResult
from rnb.campaigns.whole_search import WholeSearch
from rnb.command_line.campaign_page import draw
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_INVALID, EXIT_OK
from rnb.command_line.flags import DEFAULT_MEAN_INTERVAL_MS, spec_of
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.load.streams import Streams
from rnb.show import console
from rnb.show.text.table import align
from rnb.spec import Limits

OUTCOMES: dict[str, ProbeOutcome] = {PASSES: "pass", FAILS: "fail", UNDECIDED: "undecided"}
FILE_NAME = "peak.json"
"""What is known of the peak, in the campaign's folder."""


def find_peak(args: argparse.Namespace, player: Player) -> int:
    """Search; print a line for each probe and a table at the end; returns the exit status.

    What is known by then is printed, and kept, also where a probe fails or the user ends the search.
    Raises UsageError, RunFailed, KeyboardInterrupt.
    """
    asked = spec_of(args)
    spec = asked.with_limits(percentile=asked.limits.percentile or DEFAULT_PERCENTILE)
    search.check_number_of_requests(spec)
    start_ms = spec.load.mean_interval_ms
    spec = spec.with_load(mean_interval_ms=start_ms or DEFAULT_MEAN_INTERVAL_MS)
    campaign, limits = Campaign(spec, Path(args.logs), "peak", player), spec.limits
    sought = "highest rate" if spec.load.live is None else "most streams"
    console.say(f"the {sought} with {_bound(limits)}; each probe is a run in {campaign.folder}")
    found = search.peak_search(campaign, lambda probe: console.say(_line(probe, limits, spec.load.live)))
    problem = ""
    try:
        found.run(1e3 / start_ms if start_ms else _half_of_bulk(campaign))
    except (RunFailed, UsageError, KeyboardInterrupt) as error:
        problem = str(error) or "interrupted"
        raise
    finally:
        is_kept = _tell(found, campaign, limits, spec.load, problem)
    if not (draw(args.html, campaign.folder, _finding(found, limits)) and is_kept):
        return EXIT_FAILED
    return EXIT_OK if found.peak().low_per_s else EXIT_INVALID


def _tell(
    found: PeakSearch | WholeSearch, campaign: Campaign, limits: Limits, load: Load, problem: str
) -> bool:
    """Print and keep what is known; `problem`: what ended the search, if not itself. False: not kept."""
    peak = found.peak()
    if found.probes:
        console.say("\n".join(["", *_table(found.probes, limits, load.live), ""]))
        console.conclude("\n".join(_conclusion(peak, found.probes, limits, load.clients, problem, load.live)))
    known: dict[str, Any] = {**peak.to_json(), "problem": problem}
    known["probes"] = [asdict(probe) for probe in found.probes]
    console.emit({"folder": campaign.folder, **known})
    try:
        campaign.keep(FILE_NAME, known)
    except UsageError as error:
        console.complain(str(error))
        return False
    return True


def _finding(found: PeakSearch | WholeSearch, limits: Limits) -> PeakFinding:
    assert limits.percentile is not None
    assert limits.slo is not None
    peak = found.peak()
    return PeakFinding(
        low_per_s=peak.low_per_s,
        high_per_s=peak.high_per_s,
        best_per_s=peak.best_per_s,
        percentile=limits.percentile,
        slo_ms=limits.slo,
        probes=tuple(
            Probe(
                rate_per_s=probe.asked_per_s,
                offered_per_s=probe.rate_per_s,
                percentile_ms=probe.percentile_ms,
                outcome=OUTCOMES[probe.verdict],
            )
            for probe in found.probes
        ),
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


def _line(probe: ProbeResult, limits: Limits, streams: Streams | None) -> str:
    rate = f"{probe.rate_per_s:.2f} requests/s"
    load = f"{rate:>21}" if streams is None else f"{_in_streams(probe.asked_per_s, streams):>11} ({rate})"
    return f"{load}: {_percentile(limits)} {_number(probe.percentile_ms)} ms, {probe.outcome}"


def _table(probes: Sequence[ProbeResult], limits: Limits, streams: Streams | None) -> list[str]:
    """All probes, the slowest rate first."""
    first = [] if streams is None else ["streams"]
    columns = ["requests/s", "asked", f"{_percentile(limits)} ms", "goodput/s", "requests", "seconds"]
    header = [*first, *columns]
    in_order = sorted(probes, key=lambda probe: probe.rate_per_s)
    rows = [
        [
            *([] if streams is None else [str(_num_streams(probe.asked_per_s, streams))]),
            f"{probe.rate_per_s:.2f}",
            f"{probe.asked_per_s:.2f}",
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


def _conclusion(
    peak: Peak,
    probes: Sequence[ProbeResult],
    limits: Limits,
    num_clients: int,
    problem: str,
    streams: Streams | None,
) -> list[str]:
    lines = [
        _range(peak, limits, streams),
        f"  from {sum(probe.seconds for probe in probes):.0f} s of load",
    ]
    if problem:
        lines.insert(0, "the search was not finished; what is known:")
    elif streams is None and peak.margin is not None and peak.margin > RESOLUTION:
        lines.append(f"  wider than ±{RESOLUTION:.0%}: longer probes (-v, --duration) narrow it")
    if any(probe.is_client_late for probe in probes):
        lines.append(
            f"  in some probes the client could not keep up, not the pipeline: --clients {2 * num_clients}"
        )
    return lines


def _num_streams(rate_per_s: float, streams: Streams) -> int:
    """How many give so many requests a second together."""
    return round(rate_per_s * streams.every / streams.fps)


def _in_streams(rate_per_s: float, streams: Streams) -> str:
    num = _num_streams(rate_per_s, streams)
    return f"{num} stream{'s'[: num != 1]}"


def _range(peak: Peak, limits: Limits, streams: Streams | None) -> str:
    low, high = peak.low_per_s, peak.high_per_s
    if not (low or high):
        return f"no peak: no probe shows at which rate {_bound(limits)} is kept, and at which it is not"
    if streams is not None:
        return _range_of_streams(peak, limits, streams)
    if low and high:
        best = peak.best_per_s and f" (±{peak.margin:.1%}, 95 %), most likely {peak.best_per_s:.2f}"
        between = f"peak: between {low:.2f} and {high:.2f} requests/s"
        return f"{between}{best or ''}: up to there {_bound(limits)} is kept"
    if high:
        return f"no peak: {_bound(limits)} is not kept even at {high:.2f} requests/s"
    return f"no limit: {low:.2f} requests/s still keep {_bound(limits)}"


def _range_of_streams(peak: Peak, limits: Limits, streams: Streams) -> str:
    low, high = (rate and _in_streams(rate, streams) for rate in (peak.low_per_s, peak.high_per_s))
    each = f"of {streams.fps:g} frames/s"
    if not low:
        return f"no peak: {_bound(limits)} is not kept even with {high} {each}"
    if not high:
        return f"no limit: {low} {each} still keep {_bound(limits)}"
    return f"peak: {low} {each} keep {_bound(limits)}; {high} are too many"
