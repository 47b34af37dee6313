"""The table that a run prints at its end."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.intervals import MIN_COUNT
from rnb.analysis.statistics import MIN_COUNTS, PERCENTILES, Durations, percentile_name
from rnb.analysis.summary import Goodput, Summary
from rnb.analysis.utilization import SHARES, Utilization, mean_shares
from rnb.contract.events import LATENESS, SERVICE
from rnb.show.text.table import align

MOST_REPLICAS = 8
"""With more of them, steps are shown and not replicas."""


LEAST_SHARE = 0.01
"""Of the mean latency: a stage that takes less is shown only where all are asked for."""


def table(summary: Summary, *, has_all_stages: bool = False) -> str:
    """The summary as text: latencies, rates, and what the replicas did."""
    return "\n".join(
        [
            *_durations(summary, summary.durations if has_all_stages else _long_ones(summary)),
            "",
            *_rates(summary),
            *_replicas(summary),
            f"requests: {summary.num_scheduled} scheduled, {summary.num_sent} sent,"
            f" {summary.num_refused} refused, {summary.num_failed} failed, {summary.num_finished} finished"
            + (f"; {summary.num_warmup} of the warm-up not counted" if summary.num_warmup else ""),
        ]
    )


def _long_ones(summary: Summary) -> list[Durations]:
    """Without the stages that hardly add to the latency, and the service time where it hardly differs."""
    if not summary.durations or not summary.end_to_end.mean_ms:
        return summary.durations
    least_ms = LEAST_SHARE * summary.end_to_end.mean_ms
    parts = {entry.stage for entry in summary.durations if (entry.mean_ms or 0.0) >= least_ms}
    shown = parts if LATENESS in parts else parts - {SERVICE}
    return [entry for entry in summary.durations if entry.stage in shown]


def _durations(summary: Summary, shown: Sequence[Durations]) -> list[str]:
    rows = [["", "mean", *map(percentile_name, PERCENTILES), "max ms"]]
    rows += [_distribution(entry.stage.title(summary.step_names), entry) for entry in shown]
    if summary.durations and summary.end_to_end.intervals_ms["mean"]:
        intervals = summary.end_to_end.intervals_ms.values()
        lows = [None if interval is None else interval.low for interval in intervals]
        highs = [None if interval is None else interval.high for interval in intervals]
        rows.append(_row("  95 % interval from", [*lows, None], none=""))
        rows.append(_row("                  to", [*highs, None], none=""))
    if summary.steady and summary.steady.end_to_end:
        rows.append(_distribution("  while steady", summary.steady.end_to_end))
    hidden = hidden_stages(len(summary.durations) - len(shown), "latency")
    return [line.rstrip() for line in align(rows)] + hidden + _footnotes(shown)


def hidden_stages(number: int, whole: str) -> list[str]:
    """The line that says how many there are, if any."""
    rows = "1 row" if number == 1 else f"{number} rows"
    return (
        [f"{rows} not shown that make less than {LEAST_SHARE:.0%} of the {whole} (--verbose)"]
        if number
        else []
    )


def _distribution(name: str, entry: Durations) -> list[str]:
    return _row(name, [entry.mean_ms, *entry.percentiles_ms.values(), entry.max_ms])


def _row(name: str, values: Sequence[float | None], none: str = "-") -> list[str]:
    return [name, *(none if value is None else f"{value:.3f}" for value in values)]


def _footnotes(entries: Sequence[Durations]) -> list[str]:
    if not any(None in entry.percentiles_ms.values() for entry in entries):
        return []
    floors = ", ".join(f"p{p:g} {count:,}" for p, count in MIN_COUNTS.items() if count > 1)
    return [f"- : too few requests; needed are: {floors}, an interval {MIN_COUNT}"]


def _rates(summary: Summary) -> list[str]:
    seconds = f"over {summary.seconds:.2f} s"
    lines = [f"total: {_rate(summary.videos_per_s, summary.clips_per_s, summary.goodput)} {seconds}"]
    lines.append(f"steady: {_steady(summary)}")
    if law := in_the_system(summary):
        lines.append(f"in the system: {law}")
    return lines


def in_the_system(summary: Summary) -> str:
    """How many requests there were, and what Little's law says of it; empty where that is not known."""
    law = summary.steady.littles_law if summary.steady else summary.littles_law
    if law is None:
        return ""
    expected = law.arrivals_per_s * law.mean_latency_ms / 1000
    return (
        f"{law.num_in_system:.2f} requests on average; rate x latency = {expected:.2f}"
        f" (Little's law: {abs(law.relative_deviation):.1%} apart)"
    )


def _rate(videos_per_s: float, clips_per_s: float | None, goodput: Goodput | None) -> str:
    parts = [f"{videos_per_s:.2f} videos/s"]
    if clips_per_s:
        parts.append(f"{clips_per_s:.1f} clips/s")
    if goodput is not None:
        parts.append(f"{goodput.per_s:.2f}/s ({goodput.share:.2%}) within {goodput.slo_ms:g} ms")
    return ", ".join(parts)


def _steady(summary: Summary) -> str:
    steady = summary.steady
    if steady is None:
        found = summary.steady_state
        return "not known, too few requests" if found.is_steady is None else f"no: {found.reason}"
    rate = _rate(steady.videos_per_s, steady.clips_per_s, steady.goodput)
    return f"{rate} from {steady.start_s:.2f} s to {steady.start_s + steady.seconds:.2f} s"


def _replicas(summary: Summary) -> list[str]:
    """A row for each replica, or for each step; the depth of the queue stands once for a step."""
    depths = {depth.step: [f"{depth.mean:.2f}", str(depth.max)] for depth in summary.queue_depths}
    header = ["", *(name.replace("_", " ") for name in SHARES), "queue before it: mean", "max"]
    rows = [
        [name, *(f"{shares[share]:.1%}" for share in SHARES), *depths.pop(step, ["", ""])]
        for step, name, shares in _shown(summary)
    ]
    return ["", *(line.rstrip() for line in align([header, *rows])), ""] if rows else []


def _shown(summary: Summary) -> list[tuple[int, str, dict[str, float]]]:
    """Step, name and shares of each row."""
    by_step: dict[int, list[Utilization]] = {}
    for entry in summary.utilizations:
        by_step.setdefault(entry.step, []).append(entry)
    names = dict(enumerate(summary.step_names))
    if len(summary.utilizations) > MOST_REPLICAS:
        return [
            (step, f"step {step} {names.get(step, '')} x{len(entries)}", mean_shares(entries))
            for step, entries in by_step.items()
        ]
    return [
        (entry.step, f"step {entry.step}.{entry.replica} {names.get(entry.step, '')}", mean_shares([entry]))
        for entry in summary.utilizations
    ]
