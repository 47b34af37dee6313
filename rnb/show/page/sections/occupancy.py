"""How well the steps used their GPUs, by hardware counters and traced kernels (--occupancy)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rnb.analysis.occupancy import Counters, Occupancy, StepUse
from rnb.record.tables import COUNTERS, OCCUPANCY
from rnb.show.page.charts import Chart, Line, legend
from rnb.show.page.downsampling import average
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.palette import run_colour
from rnb.show.page.scales import exactly, linear
from rnb.show.page.subject import NUM_SPANS, Subject
from rnb.show.page.tables import details, table
from rnb.show.page.wording import NONE, duration, number, share

NAMES = {
    "occupancy_pct": "occupancy",
    "sm_busy_pct": "SM busy",
    "sm_throughput_pct": "SM throughput",
    "tensor_pct": "tensor cores",
    "dram_pct": "DRAM",
}
_COLOURS = {name: run_colour(index) for index, name in enumerate(COUNTERS)}
MAX_OPEN = 6


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [(run, run.findings.occupancy) for run in runs if run.findings.occupancy]
    if not shown:
        return None
    is_alone = len(shown) == 1
    charts = [chart for run, _ in shown for chart in _charts(run, is_alone=is_alone)]
    grid = tag("div", charts, class_="grid-of-charts")
    kernels = [
        [
            None if is_alone else tag("h3", run.badge, f" {run.label}"),
            [_kernels(run, step) for step in use.steps],
        ]
        for run, use in shown
    ]
    explanation = (
        "In % of peak over the measured phase. A step's row is from the time in which nearly all kernels "
        "were its own; occupancy is weighted by how busy the multiprocessors were."
    )
    return tag(
        "section",
        tag("h2", "GPU occupancy"),
        tag("p", explanation, class_="note"),
        _table(shown),
        legend([(_name(name), _COLOURS[name], "", "") for name in _known(shown)]) if charts else None,
        grid if len(charts) <= MAX_OPEN else details(f"Over time, {len(charts)} charts", grid),
        details("Kernels that took the most time", kernels),
    )


def _name(counter: str) -> str:
    return NAMES.get(counter, counter.removesuffix("_pct").replace("_", " "))


def _known(shown: Sequence[tuple[Subject, Occupancy]]) -> list[str]:
    """The counters that one of the GPUs has; no chip has all of them."""
    found = [gpu.counters for _, use in shown for gpu in use.gpus]
    found += [step.counters for _, use in shown for step in use.steps]
    return [name for name in COUNTERS if any(counters[name] is not None for counters in found)]


def _table(shown: Sequence[tuple[Subject, Occupancy]]) -> Markup:
    known = _known(shown)
    rows = [
        [[run.badge, f" {name}"] if len(shown) > 1 else name, *_cells(counters, known), *kernels]
        for run, use in shown
        for name, counters, kernels in _rows(run, use)
    ]
    header = ["", *map(_name, known), "a kernel running", "kernels/s", "gaps p50", "gaps p99"]
    return table(header, rows)


def _rows(run: Subject, use: Occupancy) -> list[tuple[str, Counters, list[Content]]]:
    gpus: list[tuple[str, Counters, list[Content]]] = [
        (f"GPU {gpu.gpu}", gpu.counters, ["", "", "", ""]) for gpu in use.gpus
    ]
    return [*gpus, *((_step_name(run, step), step.counters, _kernel_cells(step)) for step in use.steps)]


def _cells(counters: Counters, known: Sequence[str]) -> list[Content]:
    values = [counters[name] for name in known]
    return [NONE if value is None else f"{value:.1f} %" for value in values]


def _kernel_cells(step: StepUse) -> list[Content]:
    gaps_us = (step.gap_p50_us, step.gap_p99_us)
    return [
        share(step.busy),
        number(step.kernels_per_s),
        *(NONE if gap_us is None else duration(gap_us / 1e3) for gap_us in gaps_us),
    ]


def _step_name(run: Subject, step: StepUse) -> str:
    names = run.findings.step_names
    name = f" {names[step.step]}" if step.step < len(names) else ""
    return f"step {step.step}{name}, GPU {step.gpu}"


def _charts(run: Subject, *, is_alone: bool) -> list[Markup]:
    counters = run.findings.over_time.get(OCCUPANCY, {})
    gpus = sorted({match[1] for name in counters if (match := re.fullmatch(r"gpu(\d+)\..+", name))}, key=int)
    return [_chart(run, gpu, is_alone=is_alone) for gpu in gpus]


def _chart(run: Subject, gpu: str, *, is_alone: bool) -> Markup:
    counters, seconds = run.findings.over_time[OCCUPANCY], run.findings.seconds
    at_s = (counters["time_ns"] - run.findings.window_ns[0]) / 1e9
    lines = []
    for name in COUNTERS:
        values = counters.get(f"gpu{gpu}.{name}", np.zeros(0))
        if np.isfinite(values).any():
            x, y = average(at_s, values, seconds, NUM_SPANS)
            lines.append(Line(name=_name(name), x=x, y=y, colour=_COLOURS[name]))
    return Chart(
        title=f"Counters of GPU {gpu} over time, {run.name}",
        caption=f"GPU {gpu}" if is_alone else [run.badge, f" {run.label}, GPU {gpu}"],
        run="" if is_alone else run.letter,
        x=exactly(0.0, seconds, "s"),
        y=linear(100.0, "%"),
        x_name="since the start of the measured phase" if is_alone else "",
        lines=lines,
        is_thin=True,
        linked=f"time-{run.letter}",
        height_px=180,
    ).draw()


def _kernels(run: Subject, step: StepUse) -> Content:
    rows = [
        [
            tag("div", kernel.name, class_="wraps"),
            share(kernel.share),
            number(kernel.launches_per_s),
            duration(kernel.mean_us / 1e3),
            share(None if (known := kernel.theoretical_occupancy_pct) is None else known / 100),
        ]
        for kernel in step.top
    ]
    header = [_step_name(run, step), "of its kernel time", "launches/s", "mean", "theoretical occupancy"]
    return table(header, rows)
