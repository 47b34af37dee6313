"""The key figures: large ones of a single run, a table of several."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.intervals import Interval
from rnb.analysis.settings import UNKNOWN
from rnb.analysis.summary import Goodput, Summary
from rnb.show.judgement import look_of
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Findings, Subject, differing_flags, short_setting
from rnb.show.page.tables import facts, table
from rnb.show.page.wording import NONE, duration, number, share
from rnb.show.text.summary_text import in_the_system

PERCENTILES = ("p50", "p90", "p99", "p99.9")
MAX_SETTINGS = 4
"""Columns for the flags in which the runs differ; the provenance has all."""


def section(runs: Sequence[Subject]) -> Markup:
    shown = _of_one(runs[0].findings) if len(runs) == 1 else _table(runs)
    return tag("section", tag("h2", "Key figures"), shown)


def _of_one(findings: Findings) -> Content:
    summary = findings.summary
    latency = summary.end_to_end
    tiles = [
        _tile(f"{number(summary.videos_per_s)}/s", "throughput", _offered(findings)),
        *_goodput_tile(summary.goodput),
        _tile(duration(latency.mean_ms), "mean latency", _interval(latency.intervals_ms.get("mean"))),
        *(
            _tile(duration(latency.percentiles_ms[name]), name, _interval(latency.intervals_ms.get(name)))
            for name in PERCENTILES
            if latency.percentiles_ms.get(name) is not None
        ),
        _tile(duration(latency.max_ms), "slowest request", ""),
        _tile(number(summary.num_finished), "finished", _losses(summary)),
        _tile(duration(1e3 * findings.seconds), "measured phase", ""),
    ]
    return [tag("div", tiles, class_="tiles"), facts(_stationarity(summary))]


def _tile(value: str, name: str, more: str) -> Markup:
    return tag("div", tag("b", value), name, tag("span", more), class_="tile")


def _goodput_tile(goodput: Goodput | None) -> list[Markup]:
    if goodput is None:
        return []
    within = f"{share(goodput.share)} within {goodput.slo_ms:g} ms"
    return [_tile(f"{number(goodput.per_s)}/s", "goodput", within)]


def _offered(findings: Findings) -> str:
    if findings.load:
        return f"{number(findings.load.offered_per_s)}/s offered"
    return "all requests at once" if findings.is_bulk else ""


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"95 %: {duration(interval.low)} to {'∞' if interval.high is None else duration(interval.high)}"


def _losses(summary: Summary) -> str:
    lost = f"{summary.num_failed} failed, {summary.num_refused} refused, of {number(summary.num_scheduled)}"
    return f"{lost}; {summary.num_warmup} more to warm up" if summary.num_warmup else lost


def _stationarity(summary: Summary) -> list[tuple[str, Content]]:
    """What says whether the figures are those of a steady state."""
    entries: list[tuple[str, Content]] = [("steady state", _steady(summary))]
    if law := in_the_system(summary):
        entries.append(("in the system", law))
    return entries


def _steady(summary: Summary) -> str:
    found = summary.steady_state
    if found.is_steady is None:
        return f"not told: {found.reason}"
    if not found.is_steady:
        return f"no: {found.reason}"
    if found.is_cut:
        return f"from {found.start_s:.1f} s on; {number(summary.num_cut)} requests before it are left out"
    return f"yes, until the last arrival at {found.end_s:.1f} s"


def _table(runs: Sequence[Subject]) -> Markup:
    """What tells the runs apart comes first, for screens that show the first columns only."""
    keys = differing_flags([run.findings for run in runs])[:MAX_SETTINGS]
    header = ["", "", *keys, "offered", "served", "mean", *PERCENTILES, "finished", "folder"]
    return table(header, [_row(run, keys) for run in runs], num_text_columns=2)


def _row(run: Subject, keys: Sequence[str]) -> list[Content]:
    findings, verdict = run.findings, run.findings.verdict
    latency = findings.end_to_end
    switch = tag("span", run.letter, class_="letter", style=f"color:{run.colour}", data_toggle=run.letter)
    finished = findings.summary.num_finished / max(1, findings.summary.num_scheduled)
    return [
        switch,
        tag("span", verdict.judgement.value, class_=look_of(verdict).css_class),
        *(short_setting(findings.settings.get(key, UNKNOWN)) for key in keys),
        _offered(findings).replace(" offered", "") or NONE,
        f"{number(findings.summary.videos_per_s)}/s",
        duration(latency.mean_ms),
        *(duration(latency.percentiles_ms.get(name)) for name in PERCENTILES),
        share(finished),
        run.name,
    ]
