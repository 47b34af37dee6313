"""The figures of a run that are compared, by the name of their row.

Steps go by their number, since the runs that are compared may call them differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rnb.analysis.statistics import END_TO_END, PERCENTILES, describe, percentile_name, stage_durations_ms
from rnb.run_folder import Run

FINISHED, THROUGHPUT, GOODPUT = "finished", "videos/s", "goodput videos/s"
ROW_OF_FIGURE = {
    "throughput": THROUGHPUT,
    "goodput": GOODPUT,
    **{name: f"{END_TO_END} {name} ms" for name in ("mean", *map(percentile_name, PERCENTILES))},
}
"""What a condition calls a figure: the row that it has."""
MAIN_ROWS = tuple(ROW_OF_FIGURE[name] for name in ("throughput", "mean", "p50", "p99"))


def named_row(row: str, step_names: Sequence[str]) -> str:
    """The row's name with that of its step."""
    match = re.fullmatch(r"(step (\d+))( .+)", row)
    if match is None or int(match[2]) >= len(step_names):
        return row
    return f"{match[1]} {step_names[int(match[2])]}{match[3]}"


def figures_of(run: Run) -> dict[str, float | None]:
    """Of the measured requests that finished; None where a figure cannot be had, as p99 of a few requests."""
    counts = run.is_measured & (run.requests["status"] == "finished")
    times = {event: run.times[event][counts] for event in run.events}
    stages = stage_durations_ms(run.events, times)
    latencies_ms = stages.pop(END_TO_END)
    end_to_end, seconds, bound_ms = describe(END_TO_END, latencies_ms), run.seconds, run.args.get("slo")
    num_good = None if bound_ms is None else np.count_nonzero(latencies_ms <= bound_ms)
    return {
        FINISHED: float(len(latencies_ms)),
        THROUGHPUT: len(latencies_ms) / seconds if seconds else None,
        **({} if num_good is None else {GOODPUT: num_good / seconds if seconds else None}),
        ROW_OF_FIGURE["mean"]: end_to_end.mean_ms,
        **{f"{END_TO_END} {name} ms": value for name, value in end_to_end.percentiles_ms.items()},
        **{f"{name} mean ms": float(np.nanmean(values)) for name, values in stages.items() if len(values)},
    }
