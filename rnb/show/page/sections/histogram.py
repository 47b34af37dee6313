"""How many requests took how long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnb.analysis.histogram import Bins, Histogram, common_bins
from rnb.show.page.charts import Bar, Chart, Line, Reference, legend
from rnb.show.page.markup import Markup, tag
from rnb.show.page.scales import Scale, linear, logarithmic
from rnb.show.page.subject import Subject
from rnb.show.page.wording import duration, number, share

MAX_TOGETHER = 8
"""Of more runs the outlines could not be told apart."""


def section(runs: Sequence[Subject]) -> Markup | None:
    known = [(run, run.findings.histogram) for run in runs if run.findings.histogram]
    if not known or len(known) > MAX_TOGETHER:
        return None
    explanation = "The share of the requests in each bin; all bins are equally wide on the logarithmic axis."
    names = [(f"{run.letter}  {run.label}", run.colour, run.dash, run.letter) for run, _ in known]
    return tag(
        "section",
        tag("h2", "Latency histogram"),
        tag("p", explanation, class_="note"),
        legend(names) if len(known) > 1 else None,
        _chart(known).draw(),
    )


def _chart(known: Sequence[tuple[Subject, Histogram]]) -> Chart:
    all_bins = common_bins([one for _, one in known])
    shares = [bins.counts / bins.counts.sum() for bins in all_bins]
    edges_ms = all_bins[0].edges_ms
    runs = [run for run, _ in known]
    bounds = {float(run.findings.args["slo"]) for run in runs if run.findings.args.get("slo")}
    is_alone = len(known) == 1
    return Chart(
        title="Latency histogram",
        caption="Share of the requests",
        x=_exact(edges_ms),
        y=linear(100 * max(float(one.max()) for one in shares), "%"),
        x_name="latency",
        lines=[]
        if is_alone
        else [_outline(run, edges_ms, one) for run, one in zip(runs, shares, strict=True)],
        bars=_bars(runs[0], all_bins[0]) if is_alone else (),
        references=[Reference(axis="x", value=ms, name=f"--slo {ms:g} ms") for ms in sorted(bounds)],
    )


def _exact(edges_ms: np.ndarray) -> Scale:
    """From the first edge to the last, with the ticks of a round axis that lie between."""
    low, high = float(edges_ms[0]), float(edges_ms[-1])
    around = logarithmic(low, high, "ms")
    ticks = tuple(tick for tick in around.ticks if low <= tick <= high)
    return Scale(kind="log", low=low, high=high, unit="ms", ticks=ticks)


def _bars(run: Subject, bins: Bins) -> list[Bar]:
    whole = int(bins.counts.sum())
    return [
        Bar(
            low=float(low),
            high=float(high),
            y=100 * int(count) / whole,
            name=f"{duration(float(low))} to {duration(float(high))}: {number(int(count))} requests,"
            f" {share(int(count) / whole)}",
            colour=run.colour,
        )
        for low, high, count in zip(bins.edges_ms[:-1], bins.edges_ms[1:], bins.counts, strict=True)
        if count
    ]


def _outline(run: Subject, edges_ms: np.ndarray, shares: np.ndarray) -> Line:
    return Line(
        name=run.letter,
        x=edges_ms,
        y=100 * np.append(shares, shares[-1]),
        colour=run.colour,
        dash=run.dash,
        run=run.letter,
        is_step=True,
    )
