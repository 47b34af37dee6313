"""A curve, or a single supposed machine, as text."""

from __future__ import annotations

from rnb.planner.curve import Curve, Needed, Point
from rnb.planner.system import LOAD, MOST_PACED
from rnb.show.page.wording import number
from rnb.show.text.table import align


def curve_lines(curve: Curve) -> list[str]:
    """The table of its points, then the GPUs that rates need."""
    varied = curve.what_if.varied
    rows = [[varied or "", *column_names(curve)]]
    rows += [[setting(curve, point), *figures(curve, point)] for point in curve.points]
    return [f"as if {described(curve)} ({how(curve)})", *align(rows), *needed_lines(curve)]


def column_names(curve: Curve) -> list[str]:
    """Of `figures`."""
    names = ["requests/s", f"p99 ms at {LOAD:.0%}", "held up by", "then by"]
    return names if curve.what_if.varied == "cores" else ["cores", *names]


def how(curve: Curve) -> str:
    """How its figures came to be."""
    fewest, most = (count([point.num_requests for point in curve.points]) for count in (min, max))
    counts = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return f"simulated, {counts} requests at once, then at most {MOST_PACED:,} at {LOAD:.0%} of that rate"


def described(curve: Curve) -> str:
    """What is supposed, in words."""
    settings = {key: values for key, values in curve.what_if.settings.items() if values}
    parts = [
        f"{key} = {values[0]:g}" if len(values) == 1 else f"{key} = {values[0]:g} to {values[-1]:g}"
        for key, values in settings.items()
    ]
    for key, value in (("videos", curve.what_if.videos), ("codec", curve.what_if.codec)):
        if value is not None:
            parts.append(f"{key} = {value}")
    return ", ".join(parts)


def setting(curve: Curve, point: Point) -> str:
    """Where on the curve it is; without one the system as it is comes first."""
    if curve.what_if.varied:
        return f"{point.settings[curve.what_if.varied]:g}"
    return "as it is" if point is curve.points[0] else "then"


def figures(curve: Curve, point: Point) -> list[str]:
    """Cores, where the curve is not over them, requests/s, p99, what holds it up, and what would next."""
    limits = [f"{one.name} ({number(one.per_s)}/s)" for one in (point.held_up_by, point.then_by) if one]
    if not point.is_at_ceiling:
        limits.insert(0, "waits between calls")
    cores = [] if curve.what_if.varied == "cores" else [f"{point.cores:g}"]
    return [
        *cores,
        f"{number(point.predicted.per_s)}",
        f"{number(point.predicted.p99_ms)}",
        *[*limits, ""][:2],
    ]


def needed_lines(curve: Curve) -> list[str]:
    """The GPUs that rates need."""
    return [
        f"{number(one.rate_per_s)} requests/s at {LOAD:.0%} of what they serve: {_gpus(one, curve)}"
        for one in curve.needed
    ]


def _gpus(one: Needed, curve: Curve) -> str:
    if one.num_gpus is None:
        return f"not with {curve.points[-1].settings['gpus']:g} GPUs"
    return "1 GPU" if one.num_gpus == 1 else f"{one.num_gpus} GPUs"
