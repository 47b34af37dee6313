"""A run on the page: its findings, small enough to keep those of many runs, and its letter and colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.comparison import Contrast
from rnb.analysis.latency_curve import LatencyCurve, latency_curve
from rnb.analysis.load_curve import LoadPoint, offered_per_s
from rnb.analysis.queue_depth import curve, waiting_before_steps
from rnb.analysis.settings import settings_of
from rnb.analysis.statistics import Durations
from rnb.analysis.summary import Summary, summarize
from rnb.analysis.tail import Tail, attribute_tail
from rnb.analysis.verdict import Verdict, judge
from rnb.page.markup import Markup, tag
from rnb.page.palette import run_colour, run_dash
from rnb.run_folder import Run, RunMeta

NUM_SPANS = 400
"""Of the measured phase, for which the mean queue depth is drawn."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Of one run; its requests themselves are no longer needed."""

    folder: Path
    meta: RunMeta | None
    args: Mapping[str, Any]
    settings: Mapping[str, str]
    window_ns: tuple[int, int]
    """Of the measured phase."""
    summary: Summary
    verdict: Verdict
    latency: LatencyCurve | None
    load: LoadPoint | None
    """None where all requests came at once."""
    tail: Tail | None
    depth_curves: Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """By step: seconds from the start of the measured phase, and how many requests waited."""
    telemetry: Mapping[str, NDArray[Any]] | None

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
    offered = offered_per_s(run)
    return Findings(
        folder=run.folder,
        meta=run.meta,
        args=run.args,
        settings=settings_of(run),
        window_ns=run.window_ns,
        summary=summary,
        verdict=verdict or judge(run, summary.steady_state),
        latency=latency_curve(run),
        load=LoadPoint(offered_per_s=offered, served_per_s=summary.videos_per_s) if offered else None,
        tail=attribute_tail(run),
        depth_curves=_depth_curves(run),
        telemetry=run.telemetry,
    )


def _depth_curves(run: Run) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    if run.seconds <= 0:
        return {}
    return {step: curve(who, run.seconds, NUM_SPANS) for step, who in waiting_before_steps(run).items()}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run on the page."""

    findings: Findings
    group: int = 0
    """Repeats of one run are a group, and share a colour."""
    member: int | None = None
    """Which of the repeats it is; None where it is the only one."""
    contrast: Contrast | None = None
    """Of its group with the first one; None in that one, and where nothing is compared."""

    def percentile_ms(self, name: str) -> float | None:
        """Of the latency, by its name: p50, p99, …; None where there are too few requests."""
        return self.findings.end_to_end.percentiles_ms.get(name)

    @property
    def letter(self) -> str:
        """As compare.py names the group, and a number for a repeat."""
        group = chr(ord("A") + self.group) if self.group < 26 else f"#{self.group + 1}"
        return group if self.member is None else f"{group}{self.member + 1}"

    @property
    def name(self) -> str:
        return self.findings.folder.name

    @property
    def colour(self) -> str:
        return run_colour(self.group)

    @property
    def dash(self) -> str:
        return run_dash(self.group)

    @property
    def badge(self) -> Markup:
        return tag("span", self.letter, class_="letter", style=f"color:{self.colour}")
