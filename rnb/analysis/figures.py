"""The figures of a run that are compared.

Steps go by their number, since the runs that are compared may call them differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnb.analysis.statistics import PERCENTILES, describe, percentile_name, stage_durations_ms
from rnb.contract.events import END_TO_END, Stage
from rnb.record.run import Run


class Figure(NamedTuple):
    """A figure of the whole run, or of one stage of its requests."""

    name: str
    stage: Stage | None = None

    def title(self, step_names: Sequence[str] = ()) -> str:
        """What a person reads; `step_names` are the classes of the steps, where they are to be told."""
        return self.name if self.stage is None else f"{self.stage.title(step_names)} {self.name}"


FINISHED, THROUGHPUT, GOODPUT = Figure("finished"), Figure("videos/s"), Figure("goodput videos/s")
FIGURES = {
    "throughput": THROUGHPUT,
    "goodput": GOODPUT,
    **{name: Figure(f"{name} ms", END_TO_END) for name in ("mean", *map(percentile_name, PERCENTILES))},
}
"""By what a condition calls them."""
MAIN_FIGURES = tuple(FIGURES[name] for name in ("throughput", "mean", "p50", "p99"))


def figures_of(run: Run) -> dict[Figure, float | None]:
    """Of the measured requests that finished; None where a figure cannot be had, as p99 of a few requests."""
    stages = stage_durations_ms(run, run.finished)
    latencies_ms = stages.pop(END_TO_END)
    end_to_end, seconds, bound_ms = describe(END_TO_END, latencies_ms), run.seconds, run.args.get("slo")
    num_good = None if bound_ms is None else np.count_nonzero(latencies_ms <= bound_ms)
    return {
        FINISHED: float(len(latencies_ms)),
        THROUGHPUT: len(latencies_ms) / seconds if seconds else None,
        **({} if num_good is None else {GOODPUT: num_good / seconds if seconds else None}),
        FIGURES["mean"]: end_to_end.mean_ms,
        **{FIGURES[name]: value for name, value in end_to_end.percentiles_ms.items()},
        **{
            Figure("mean ms", stage): float(np.nanmean(values))
            for stage, values in stages.items()
            if len(values)
        },
    }
