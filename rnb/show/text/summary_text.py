"""The table that a run prints at its end."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rnb.analysis.intervals import Interval
from rnb.analysis.sequences import SequenceFigures
from rnb.analysis.statistics import MIN_COUNTS, PERCENTILES, Durations, percentile_name
from rnb.analysis.summary import Goodput, Summary
from rnb.analysis.utilization import SHARES, Utilization, mean_shares
from rnb.contract.events import LATENESS, SERVICE
from rnb.show.text.table import align

MOST_COLUMNS = 110
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
            *_memory(summary),
            f"requests: {summary.num_scheduled} scheduled, {summary.num_sent} sent,"
            f" {summary.num_refused} refused, {summary.num_failed} failed, {summary.num_finished} finished"
            + (f", {summary.num_dropped} dropped as too late" if summary.num_dropped else "")
            + (f"; {summary.num_warmup} of the warm-up not counted" if summary.num_warmup else ""),
            *_sequences(summary.sequences),
        ]
    )


def _sequences(figures: SequenceFigures | None) -> list[str]:
    if figures is None:
        return []
    named = [("mean", figures.mean_ms), *figures.percentiles_ms.items(), ("max", figures.max_ms)]
    times = ", ".join(f"{name} {value:.3f}" for name, value in named if value is not None)
    took = f"; from the first due to the last done: {times} ms" if times else ""
    return _wrapped(f"sequences: {figures.num_whole} whole, {figures.num_broken} broken{took}")


def _memory(summary: Summary) -> list[str]:
    rows = [
        [use.replica, *(f"{one / 1e6:,.1f}" for one in (use.held_bytes, use.most_held_bytes, use.peak_bytes))]
        for use in summary.memory
    ]
    return align([["memory in MB", "at the end", "most held", "peak"], *rows]) if rows else []


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
        rows.append(
            ["  95 % interval from", *("-" if one is None else f"{one.low:.3f}" for one in intervals), ""]
        )
        rows.append(["                  to", *map(_high, intervals), ""])
    if summary.whole_phase:
        rows.append(_distribution("  with the start", summary.whole_phase.end_to_end))
    hidden = hidden_stages(len(summary.durations) - len(shown), "latency")
    return [line.rstrip() for line in align(rows)] + hidden + _footnotes(summary, shown)


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


def _high(interval: Interval | None) -> str:
    """Empty where it is not known how large it may be."""
    if interval is None:
        return "-"
    return "" if interval.high is None else f"{interval.high:.3f}"


def _row(name: str, values: Sequence[float | None]) -> list[str]:
    return [name, *("-" if value is None else f"{value:.3f}" for value in values)]


def _footnotes(summary: Summary, shown: Sequence[Durations]) -> list[str]:
    lines = []
    if any(None in entry.percentiles_ms.values() for entry in shown):
        floors = ", ".join(f"p{p:g} {count:,}" for p, count in MIN_COUNTS.items() if count > 1)
        lines.append(f"- : too few requests; needed are: {floors}")
    if summary.requests_for_intervals:
        needed = ", ".join(f"{name} {count:,}" for name, count in summary.requests_for_intervals.items())
        lines += _wrapped(f"requests that a 95 % interval takes at this load: {needed}")
    return lines


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, MOST_COLUMNS, subsequent_indent="  ")


def _rates(summary: Summary) -> list[str]:
    seconds = f"over {summary.seconds:.2f} s"
    shown = "from the steady start" if summary.whole_phase else "total"
    lines = [f"{shown}: {_rate(summary.videos_per_s, summary.clips_per_s, summary.goodput)} {seconds}"]
    if whole := summary.whole_phase:
        rate = _rate(whole.videos_per_s, whole.clips_per_s, whole.goodput)
        lines.append(f"with the start: {rate} over {whole.seconds:.2f} s")
    lines += _wrapped(f"steady: {_steady(summary)}")
    if law := in_the_system(summary):
        lines.append(f"in the system: {law}")
    return lines


def in_the_system(summary: Summary) -> str:
    """How many requests there were, and what Little's law says of it; empty where that is not known."""
    law = summary.littles_law
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
    found = summary.steady_state
    if found.is_steady is None:
        needed = f"; about {found.num_needed:,} requests would tell" if found.num_needed else ""
        return f"not told: {found.reason}{needed}"
    if not found.is_steady:
        return f"no: {found.reason}"
    left_out = f", {summary.num_cut} requests before it left out" if found.is_cut else ""
    return f"from {found.start_s:.2f} s to {found.end_s:.2f} s{left_out}"


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
        (
            entry.step,
            f"step {entry.step}.{entry.replica} {names.get(entry.step, '')}{_place(entry)}",
            mean_shares([entry]),
        )
        for entry in summary.utilizations
    ]


def _place(entry: Utilization) -> str:
    return "" if entry.node is None else f", node {entry.node}"
