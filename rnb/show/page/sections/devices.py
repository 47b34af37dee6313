"""How busy GPUs and CPUs were beside the run, over time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.watched_nodes import WatchedNode, nodes_of
from rnb.record.tables import TELEMETRY
from rnb.show.page.charts import Chart, Line, legend
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.palette import run_colour
from rnb.show.page.scales import exactly, linear
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, table
from rnb.show.page.wording import number, share, size

KNOWN = {"sm_percent": "SM", "nvdec_percent": "NVDEC", "percent": "CPU"}
_PERCENT = re.compile(r"(?P<device>gpu\d+|cpu)\.(?P<reading>(?:\w+_)?percent)")
_PROCESS = re.compile(r"process\.(?P<name>.+)\.cpu_percent")
_HEIGHT_PX, _MAX_POINTS = 150, 600
MAX_OPEN = 6

Telemetry = Mapping[str, NDArray[Any]]
Watched = tuple[Subject, WatchedNode]


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [(run, node) for run in runs for node in _nodes(run) if _readings(node.telemetry)]
    if not shown:
        return None
    is_alone = len({run.letter for run, _ in shown}) == 1
    charts = [chart for run, node in shown for chart in _charts(run, node, is_alone=is_alone)]
    grid = tag("div", charts, class_="grid-of-charts")
    processes = [
        [None if len(shown) == 1 else tag("h3", *_heading(run, node, is_alone)), _processes(node.telemetry)]
        for run, node in shown
    ]
    explanation = (
        "The GPUs' multiprocessors (SM) and video engines (NVDEC), and the CPUs that the run may use."
    )
    return tag(
        "section",
        tag("h2", "GPUs and CPUs"),
        tag("p", explanation, class_="note"),
        _table(shown, is_alone=is_alone),
        legend([(name, colour, "", "") for name, colour in _names(shown).items()]),
        grid if len(shown) <= MAX_OPEN else details("Over time", grid),
        details("Processes", processes),
    )


def _nodes(run: Subject) -> list[WatchedNode]:
    return nodes_of(run.findings.meta, dict(run.findings.over_time.get(TELEMETRY, {})))


def _heading(run: Subject, node: WatchedNode, is_alone: bool) -> list[Content]:
    place = "" if node.node is None else f"node {node.node}"
    return [place] if is_alone else [run.badge, f" {', '.join(filter(None, (run.label, place)))}"]


def _readings(telemetry: Telemetry) -> dict[str, dict[str, NDArray[Any]]]:
    """Per cent by device and reading, without those that were not to be had."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for column, values in telemetry.items():
        match = _PERCENT.fullmatch(column)
        if match and np.isfinite(values).any():
            found.setdefault(match["device"], {})[match["reading"]] = values
    return found


def _name(reading: str) -> str:
    return KNOWN.get(reading, reading.removesuffix("_percent").replace("_", " "))


def _names(shown: Sequence[Watched]) -> dict[str, str]:
    """The colour of each reading: the known ones always have the same."""
    found = [
        reading
        for _, node in shown
        for readings in _readings(node.telemetry).values()
        for reading in readings
    ]
    names = list(dict.fromkeys([*KNOWN.values(), *map(_name, found)]))
    return {name: run_colour(index + 2) for index, name in enumerate(names) if name in map(_name, found)}


def _charts(run: Subject, node: WatchedNode, *, is_alone: bool) -> list[Content]:
    """One for each GPU and one for the CPUs; of one GPU they share a chart."""
    readings = _readings(node.telemetry)
    together = [list(readings)] if len(readings) <= 2 else [[device] for device in readings]
    return [_chart(run, node, devices, is_alone=is_alone) for devices in together]


def _chart(run: Subject, node: WatchedNode, devices: Sequence[str], *, is_alone: bool) -> Markup:
    telemetry = node.telemetry
    colours, readings = _names([(run, node)]), _readings(telemetry)
    start_ns, end_ns = run.findings.window_ns
    at_s = (telemetry["time_ns"] - start_ns) / 1e9
    inside = (at_s >= 0) & (telemetry["time_ns"] <= end_ns)
    name = node.title(" and ".join(map(_device, devices)))
    return Chart(
        title=f"{name} over time, {run.name}",
        caption=name if is_alone else [run.badge, f" {run.label}, {name}"],
        run="" if is_alone else run.letter,
        x=exactly(0.0, run.findings.seconds, "s"),
        y=linear(100.0, "%"),
        x_name="since the start of the measured phase" if is_alone else "",
        is_thin=True,
        linked=f"time-{run.letter}",
        lines=[
            Line(name=_name(reading), x=at_s[inside], y=values[inside], colour=colours[_name(reading)])
            for device in devices
            for reading, values in readings[device].items()
        ],
        height_px=_HEIGHT_PX,
        max_points=_MAX_POINTS,
    ).draw()


def _device(device: str) -> str:
    return "CPUs" if device == "cpu" else f"GPU {device.removeprefix('gpu')}"


def _table(shown: Sequence[Watched], *, is_alone: bool) -> Markup:
    """A row for each GPU, the CPUs in the first of a run's node."""
    rows = [
        [
            node.title(_device(device)) if is_alone else [run.badge, f" {node.title(_device(device))}"],
            _mean(run, node.telemetry, "cpu.percent", share_of=100) if is_first else "",
            *_gpu_cells(run, node.telemetry, device),
        ]
        for run, node in shown
        for is_first, device in _rows(node.telemetry)
    ]
    header = ["", "mean CPU", "SM", "NVDEC", "most memory", "power", "SM clock"]
    used = [index for index in range(len(header)) if not index or any(row[index] for row in rows)]
    return table([header[index] for index in used], [[row[index] for index in used] for row in rows])


def _rows(telemetry: Telemetry) -> list[tuple[bool, str]]:
    """The GPUs, or the CPUs of a run without; and whether it is the first."""
    gpus = [device for device in _readings(telemetry) if device != "cpu"]
    return [(index == 0, device) for index, device in enumerate(gpus or ["cpu"])]


def _gpu_cells(run: Subject, telemetry: Telemetry, device: str) -> list[Content]:
    most_bytes = _most(telemetry, f"{device}.memory_bytes")
    return [
        _mean(run, telemetry, f"{device}.sm_percent", share_of=100),
        _mean(run, telemetry, f"{device}.nvdec_percent", share_of=100),
        "" if most_bytes is None else size(most_bytes),
        _mean(run, telemetry, f"{device}.power_w", unit=" W"),
        _mean(run, telemetry, f"{device}.sm_clock_mhz", unit=" MHz"),
    ]


def _mean(run: Subject, telemetry: Telemetry, column: str, *, share_of: float = 0.0, unit: str = "") -> str:
    """Over the measured phase; empty where there is no such column."""
    if column not in telemetry:
        return ""
    start_ns, end_ns = run.findings.window_ns
    inside = (telemetry["time_ns"] >= start_ns) & (telemetry["time_ns"] <= end_ns)
    values = telemetry[column][inside]
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    mean = float(values.mean())
    return share(round(mean / share_of, 3)) if share_of else f"{number(mean)}{unit}"


def _most(telemetry: Telemetry, column: str) -> float | None:
    values = telemetry.get(column, np.zeros(0))
    values = values[np.isfinite(values)]
    return float(values.max()) if len(values) else None


def _processes(telemetry: Telemetry) -> Markup:
    names = [match["name"] for column in telemetry if (match := _PROCESS.fullmatch(column))]
    rows = [
        [
            name,
            f"{number(float(np.nanmean(cpu)))} %"
            if np.isfinite(cpu := telemetry[f"process.{name}.cpu_percent"]).any()
            else "",
            size(_most(telemetry, f"process.{name}.memory_bytes")),
            size(_most(telemetry, f"process.{name}.gpu_memory_bytes")),
        ]
        for name in names
    ]
    return table(["", "CPU, 100 % = one core", "most memory", "most GPU memory"], rows)
