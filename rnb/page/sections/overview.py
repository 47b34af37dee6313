"""The key figures: large ones of a single run, a table of several."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.intervals import Interval
from rnb.analysis.settings import UNKNOWN, differing_keys
from rnb.page.markup import Content, Markup, tag
from rnb.page.subject import Findings, Subject
from rnb.page.tables import table
from rnb.page.wording import duration, number, share

PERCENTILES = ("p50", "p90", "p99", "p99.9")
MAX_SETTINGS = 4
"""Columns for what differs between the runs; the provenance has all."""


def section(runs: Sequence[Subject]) -> Markup:
    shown = _tiles(runs[0].findings) if len(runs) == 1 else _table(runs)
    return tag("section", tag("h2", "Key figures"), shown)


def _tiles(findings: Findings) -> Markup:
    latency, summary = findings.end_to_end, findings.summary
    tiles = [
        _tile(f"{number(summary.videos_per_s)}/s", "throughput", _offered(findings)),
        _tile(duration(latency.mean_ms), "mean latency", _interval(latency.intervals_ms.get("mean"))),
        *(
            _tile(duration(latency.percentiles_ms[name]), name, _interval(latency.intervals_ms.get(name)))
            for name in PERCENTILES
            if latency.percentiles_ms.get(name) is not None
        ),
        _tile(duration(latency.max_ms), "slowest request", ""),
        _tile(number(summary.num_finished), "finished", _losses(findings)),
        _tile(duration(1e3 * findings.seconds), "measured phase", ""),
    ]
    return tag("div", tiles, class_="tiles")


def _tile(value: str, name: str, more: str) -> Markup:
    return tag("div", tag("b", value), name, tag("span", more), class_="tile")


def _offered(findings: Findings) -> str:
    return f"{number(findings.load.offered_per_s)}/s offered" if findings.load else "all requests at once"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"95 %: {duration(interval.low)} to {'∞' if interval.high is None else duration(interval.high)}"


def _losses(findings: Findings) -> str:
    summary = findings.summary
    return f"{summary.num_failed} failed, {summary.num_refused} refused, of {number(summary.num_scheduled)}"


def _table(runs: Sequence[Subject]) -> Markup:
    keys = differing_keys([run.findings.settings for run in runs])
    header = ["", "run", "", "offered", "served", "mean", *PERCENTILES, "finished", *keys[:MAX_SETTINGS]]
    return table(header, [_row(run, keys[:MAX_SETTINGS]) for run in runs], num_text_columns=3)


def _row(run: Subject, keys: Sequence[str]) -> list[Content]:
    findings, verdict = run.findings, run.findings.verdict
    latency = findings.end_to_end
    switch = tag("span", run.letter, class_="letter", style=f"color:{run.colour}", data_toggle=run.letter)
    finished = findings.summary.num_finished / max(1, findings.summary.num_scheduled)
    return [
        switch,
        run.name,
        tag("span", "VALID" if verdict.is_valid else "INVALID", class_="good" if verdict.is_valid else "bad"),
        f"{number(findings.load.offered_per_s)}/s" if findings.load else "at once",
        f"{number(findings.summary.videos_per_s)}/s",
        duration(latency.mean_ms),
        *(duration(latency.percentiles_ms.get(name)) for name in PERCENTILES),
        share(finished),
        *(findings.settings.get(key, UNKNOWN) for key in keys),
    ]
