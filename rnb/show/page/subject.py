"""A run on the page: its findings, small enough to keep those of many runs, and its letter and colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.classes import ClassCount, class_counts
from rnb.analysis.comparison import Contrast, Group, letter
from rnb.analysis.histogram import Histogram, histogram
from rnb.analysis.latency_curve import LatencyCurve, latency_curve
from rnb.analysis.load_curve import LoadPoint, offered_per_s
from rnb.analysis.occupancy import Occupancy, occupancy_of
from rnb.analysis.queue_depth import curve, waiting_before_steps
from rnb.analysis.run_search import FoundRun
from rnb.analysis.settings import UNKNOWN, differing_keys, settings_of
from rnb.analysis.stalls import Stall, stalls
from rnb.analysis.statistics import Durations
from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import is_bulk
from rnb.analysis.summary import Summary, summarize
from rnb.analysis.tail import Tail, attribute_tail
from rnb.analysis.timeline import Timeline, timeline
from rnb.analysis.verdict import Verdict, judge
from rnb.record.meta import RunMeta
from rnb.record.run import Run, Table
from rnb.show.page.markup import Markup, tag
from rnb.show.page.palette import run_colour, run_dash

MAX_KEYS = 2
"""Settings in a label."""
RATE = "mean_interval_ms"
CONFIG_FILE = "config_file_path"
LABEL_ORDER = {RATE: 0, CONFIG_FILE: 1, "batch_size": 2}
"""The flags that tell most come first."""
MAX_DIGITS = 7
NUM_SPANS = 400
"""Of the measured phase, for which the mean queue depth is drawn."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Of one run; its requests themselves are no longer needed."""

    folder: Path | None
    """None of a run that was never written."""
    meta: RunMeta
    args: Mapping[str, Any]
    settings: Mapping[str, str]
    window_ns: tuple[int, int]
    """Of the measured phase."""
    summary: Summary
    verdict: Verdict
    latency: LatencyCurve | None
    is_bulk: bool
    """Whether all requests came at once."""
    load: LoadPoint | None
    """None where they did, or where it is not known when they were due."""
    tail: Tail | None
    timeline: Timeline | None
    histogram: Histogram | None
    stalls: Sequence[Stall]
    """Of replicas that had work."""
    faults: Sequence[tuple[float, float, str]]
    """What was done to the run on purpose: from and to, in seconds from the start of the measured phase."""
    depth_curves: Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """By step: seconds from the start of the measured phase, and how many requests waited."""
    occupancy: Occupancy | None
    classes: Sequence[ClassCount]
    """By name, the most frequent first; empty where they have no names."""
    over_time: Mapping[str, Table]
    """The tables of what was measured beside the run at certain times, by name."""

    @property
    def name(self) -> str:
        return "a run" if self.folder is None else self.folder.name

    @property
    def seconds(self) -> float:
        """The length of the measured phase."""
        return self.summary.seconds

    @property
    def step_names(self) -> Sequence[str]:
        return self.summary.step_names

    @property
    def end_to_end(self) -> Durations:
        """The latency's figures."""
        return self.summary.end_to_end


def findings_of(run: Run, summary: Summary | None = None, verdict: Verdict | None = None) -> Findings:
    """All that a page needs to know of a run; give its summary and verdict where they are known already."""
    summary = summary or summarize(run)
    part = steady_part(run, summary.steady_state)
    offered = offered_per_s(part)
    return Findings(
        folder=run.folder,
        meta=run.meta,
        args=run.args,
        settings=settings_of(run),
        window_ns=run.window_ns,
        summary=summary,
        verdict=verdict or judge(run, summary.steady_state),
        latency=latency_curve(part),
        is_bulk=is_bulk(run),
        load=LoadPoint(offered_per_s=offered, served_per_s=summary.videos_per_s) if offered else None,
        tail=attribute_tail(part),
        timeline=timeline(run),
        histogram=histogram(part),
        stalls=stalls(run),
        faults=_faults(run),
        depth_curves=_depth_curves(run),
        occupancy=occupancy_of(run),
        classes=class_counts(run),
        over_time={name: table for name, table in run.tables.items() if "time_ns" in table},
    )


def _faults(run: Run) -> list[tuple[float, float, str]]:
    """Those that were played."""
    zero_ns = run.window_ns[0]
    played = [
        (fault.start_epoch_ns - zero_ns, fault.end_epoch_ns - zero_ns, fault.what)
        for fault in run.meta.faults
        if fault.start_epoch_ns is not None and fault.end_epoch_ns is not None
    ]
    return [(max(0, start_ns) / 1e9, end_ns / 1e9, what) for start_ns, end_ns, what in played if end_ns >= 0]


def _depth_curves(run: Run) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    if run.seconds <= 0:
        return {}
    return {step: curve(who, run.seconds, NUM_SPANS) for step, who in waiting_before_steps(run).items()}


def note_findings(
    runs: Iterable[tuple[FoundRun, Run]], findings: dict[Path, Findings]
) -> Iterator[tuple[FoundRun, Run]]:
    """Pass runs on, and keep the findings of each, by its folder."""
    for found, run in runs:
        findings[found.folder] = findings_of(run)
        yield found, run


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run on the page."""

    findings: Findings
    label: str
    """What tells it from the other runs, or the name of its folder."""
    group: int = 0
    """Repeats of one run are a group, and share a colour."""
    member: int | None = None
    """Which of the repeats it is; None where it is the only one."""
    repeats: Group | None = None
    """Its group; None where nothing is compared."""
    contrast: Contrast | None = None
    """Of its group with the first one; None in that one, and where nothing is compared."""

    def percentile_ms(self, name: str) -> float | None:
        """Of the latency, by its name: p50, p99, …; None where there are too few requests."""
        return self.findings.end_to_end.percentiles_ms.get(name)

    @property
    def letter(self) -> str:
        """As compare.py names the group, and a number for a repeat."""
        return self.group_letter if self.member is None else f"{self.group_letter}{self.member + 1}"

    @property
    def group_letter(self) -> str:
        return letter(self.group)

    @property
    def name(self) -> str:
        return self.findings.name

    @property
    def colour(self) -> str:
        return run_colour(self.group)

    @property
    def dash(self) -> str:
        return run_dash(self.group)

    @property
    def badge(self) -> Markup:
        return self._badge(self.letter)

    @property
    def group_badge(self) -> Markup:
        return self._badge(self.group_letter)

    def _badge(self, text: str) -> Markup:
        return tag("span", text, class_="letter", style=f"color:{self.colour}")


def subject_alone(findings: Findings) -> Subject:
    """The only run of its page."""
    return Subject(findings=findings, label=findings.name)


def subjects_compared(
    groups: Sequence[Group], contrasts: Sequence[Contrast], findings: Mapping[Path, Findings]
) -> list[Subject]:
    """The runs of a comparison; `contrasts`: of each group but the first with that one."""
    all_findings = [findings[member.found.folder] for group in groups for member in group.members]
    keys = differing_flags(all_findings)[:MAX_KEYS]
    return [
        Subject(
            findings=findings[member.found.folder],
            label=_label(findings[member.found.folder], keys),
            group=index,
            member=number if group.is_repeated else None,
            repeats=group,
            contrast=contrasts[index - 1] if index else None,
        )
        for index, group in enumerate(groups)
        for number, member in enumerate(group.members)
    ]


def differing_flags(all_findings: Sequence[Findings]) -> list[str]:
    """The flags in which runs differ: what their user changed on purpose."""
    flags = {flag for findings in all_findings for flag in findings.args}
    found = [key for key in differing_keys([one.settings for one in all_findings]) if key in flags]
    return sorted(found, key=lambda key: LABEL_ORDER.get(key, len(LABEL_ORDER)))


def _label(findings: Findings, keys: Sequence[str]) -> str:
    told = [setting_in_words(key, findings.settings.get(key, UNKNOWN)) for key in keys]
    return ", ".join(told) or findings.name


def setting_in_words(key: str, value: str) -> str:
    """An interval as the rate that it asks for, a config by its name."""
    if key == CONFIG_FILE:
        return Path(value).stem
    try:
        interval_ms = float(value) if key == RATE else None
    except ValueError:
        interval_ms = None
    if interval_ms is None:
        return f"{key} {short_setting(value)}"
    return f"{1e3 / interval_ms:.4g}/s" if interval_ms else "all at once"


def short_setting(value: str) -> str:
    """Without the digits of a number that nobody reads."""
    try:
        return f"{float(value):.6g}" if len(value) > MAX_DIGITS else value
    except ValueError:
        return value
