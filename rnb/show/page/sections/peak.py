"""What a search for the highest rate found: the range of the limit, and the probes that say so."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.load_curve import KEPT_UP, knee
from rnb.analysis.peak import PeakFinding, Probe
from rnb.analysis.statistics import percentile_name
from rnb.show.page.charts import Chart, Mark, Reference
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.scales import linear, wide
from rnb.show.page.subject import Subject
from rnb.show.page.tables import table
from rnb.show.page.wording import NONE, duration, number

SHAPES = {"pass": "dot", "fail": "cross", "undecided": "ring"}
COLOURS = {"pass": "var(--good)", "fail": "var(--bad)", "undecided": "var(--open)"}
CLASSES = {"pass": "good", "fail": "bad", "undecided": "open"}


def section(found: PeakFinding, probes: Sequence[Subject]) -> Markup:
    """`probes`: their runs, as far as they can be read."""
    explanation = (
        "A mark for each probe at the rate that was offered: full where it kept the bound, a cross where it "
        "did not, a ring where that could not be told. The limit lies in the shaded stretch. The knee is the "
        f"highest rate up to which every probe served at least {KEPT_UP:.0%} of what was offered."
    )
    chart = _chart(found, probes)
    return tag(
        "section",
        tag("h2", f"{percentile_name(found.percentile)} against rate"),
        tag("p", explanation, class_="note") if chart else None,
        chart,
        _table(found),
        id="peak",
    )


def title(found: PeakFinding) -> str:
    """The answer in a line."""
    bound = f"{percentile_name(found.percentile)} within {duration(found.slo_ms)}"
    if found.low_per_s is None:
        high = f" even at {number(found.high_per_s)}/s" if found.high_per_s else ""
        return f"No peak: {bound} is not kept{high}"
    if found.high_per_s is None:
        return f"Peak: above {number(found.low_per_s)}/s, which still keeps {bound}"
    best = "" if found.best_per_s is None else f", most likely {number(found.best_per_s)}/s,"
    return f"Peak: {number(found.low_per_s)} to {number(found.high_per_s)}/s{best} with {bound}"


def _chart(found: PeakFinding, probes: Sequence[Subject]) -> Markup | None:
    name = percentile_name(found.percentile)
    known = [(probe, probe.percentile_ms) for probe in found.probes if probe.percentile_ms is not None]
    if not known:
        return None
    values = [value for _, value in known]
    return Chart(
        title=f"{name} against rate",
        caption=f"{name} of the latency, by probe",
        x=linear(max(probe.at_per_s for probe, _ in known), "/s"),
        y=wide(min([*values, found.slo_ms]), max([*values, found.slo_ms]), "ms"),
        x_name="offered rate",
        lines=[],
        marks=[_mark(probe, value, name) for probe, value in known],
        references=[
            *_range(found),
            *_knee(probes),
            Reference(axis="y", value=found.slo_ms, name=f"--slo {found.slo_ms:g} ms"),
        ],
        height_px=320,
    ).draw()


def _mark(probe: Probe, value: float, name: str) -> Mark:
    return Mark(
        x=probe.at_per_s,
        y=value,
        name=f"{probe.outcome}: {name} {duration(value)} at {number(probe.at_per_s)}/s",
        colour=COLOURS[probe.outcome],
        shape=SHAPES[probe.outcome],
    )


def _range(found: PeakFinding) -> list[Reference]:
    if found.low_per_s is None or found.high_per_s is None:
        return []
    return [Reference(axis="x", value=found.low_per_s, until=found.high_per_s, name="peak")]


def _knee(probes: Sequence[Subject]) -> list[Reference]:
    point = knee([probe.findings.load for probe in probes if probe.findings.load])
    if point is None:
        return []
    return [
        Reference(axis="x", value=point.offered_per_s, name=f"knee {number(point.offered_per_s)}/s", row=1)
    ]


def _table(found: PeakFinding) -> Markup:
    header = ["outcome", "asked", "offered", percentile_name(found.percentile)]
    in_order = sorted(found.probes, key=lambda probe: probe.at_per_s)
    return table(header, [_row(probe) for probe in in_order])


def _row(probe: Probe) -> list[Content]:
    offered = NONE if probe.offered_per_s is None else f"{number(probe.offered_per_s)}/s"
    return [
        tag("span", probe.outcome, class_=CLASSES[probe.outcome]),
        f"{number(probe.rate_per_s)}/s",
        offered,
        duration(probe.percentile_ms),
    ]
