"""What several checks look at."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.early_stopping import TailBound, judge_bound
from rnb.analysis.machine_use import CpuUse, OtherUse, cpu_uses, others_use
from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import SteadyState, is_bulk
from rnb.analysis.watched_nodes import watched_nodes
from rnb.record.run import Run

DEFAULT_PERCENTILE = 99.0
"""Of --slo without --percentile."""
MARGIN = 1.1
"""How much more than needed is advised: the next run's arrivals are as random as this one's."""


class Facts:
    """What several checks look at."""

    def __init__(self, run: Run, steady: SteadyState) -> None:
        self.run, self.steady = run, steady
        self.part = steady_part(run, steady)
        """The same run; the requests of a start that is left out count as warm-up."""
        self.is_measured = self.part.is_measured
        self.num_requests, self.num_measured = run.num_requests, int(np.count_nonzero(self.is_measured))
        self.due_ns = run.due_ns[self.is_measured]
        self.is_bulk = is_bulk(run)

    def flag(self, name: str, default: Any = None) -> Any:
        """The value of a flag; the default where it was not given, or did not exist yet."""
        value = self.run.args.get(name)
        return default if value is None else value

    def count(self, status: str) -> int:
        """How many requests have it, those of the warm-up too."""
        return int(np.count_nonzero(self.run.ended_as(status)))

    @property
    def makes_claim(self) -> bool:
        """Whether the run was asked about a percentile."""
        return self.flag("slo") is not None or self.flag("percentile") is not None

    @cached_property
    def tail_bound(self) -> TailBound | None:
        """A request without a result is over any bound."""
        bound_ms = self.flag("slo")
        if bound_ms is None or not self.num_measured:
            return None
        num_within = np.count_nonzero(self.run.latency_ms[self.is_measured] <= bound_ms)
        return judge_bound(
            num_requests=self.num_measured,
            num_effective=self.steady.slack.num_effective if self.steady.slack else 0.0,
            num_over=self.num_measured - int(num_within),
            percentile=self.flag("percentile", DEFAULT_PERCENTILE),
            bound_ms=bound_ms,
        )

    @cached_property
    def cpu_use(self) -> CpuUse | None:
        """Of the machine that the clients are on; None where the telemetry does not tell."""
        return self.cpu_use_of_nodes.get(0)

    @cached_property
    def cpu_use_of_nodes(self) -> dict[int, CpuUse]:
        """Of those that there is telemetry of."""
        return {node.node or 0: use for node, use in cpu_uses(self.run)}

    @cached_property
    def others_use(self) -> list[OtherUse]:
        return others_use(self.run)

    @cached_property
    def throttle_masks(self) -> dict[str, NDArray[np.int64]]:
        """NVML's bits by GPU, in the samples of the measured phase that have them."""
        start_ns, end_ns = self.run.window_ns
        masks = {}
        for node in watched_nodes(self.run):
            times_ns = node.telemetry["time_ns"]
            is_inside = (times_ns >= start_ns) & (times_ns <= end_ns)
            for name, values in node.telemetry.items():
                gpu, _, reading = name.rpartition(".")
                if reading == "throttle_reasons":
                    masks[node.title(gpu)] = values[is_inside & ~np.isnan(values)].astype(np.int64)
        return masks

    def throttled_share(self, gpu: str, bit: int) -> float:
        masks = self.throttle_masks[gpu]
        return float(np.mean((masks & bit) > 0)) if len(masks) else 0.0

    def longer(self, factor: float) -> str:
        """How to ask for a run that is so many times as long."""
        num_requests = math.ceil(self.num_measured * factor)
        if self.flag("replay"):
            return f"--replay a run with {num_requests} requests"
        if self.flag("duration"):
            return f"--duration {math.ceil(self.flag('duration') * factor)}"
        if self.flag("arrivals") == "trace" and not self.flag("videos"):
            return f"an --arrivals-file with {num_requests} times"
        return f"-v {num_requests}"

    def slower(self) -> str:
        """How to ask for a rate that the pipeline may keep up with."""
        if self.flag("replay"):
            return "--replay a run with a lower rate"
        if self.flag("arrivals") == "trace":
            return "an --arrivals-file with a lower rate"
        if self.flag("ramp"):
            return "a --ramp to a lower rate"
        interval_ms = self.flag("mean_interval_ms", 0)
        num_finished = int(np.count_nonzero(self.run.finished))
        kept_up_ms = 1000 * self.run.seconds / num_finished if num_finished else 0.0
        return f"-mi {MARGIN * max(kept_up_ms, interval_ms):.3g}"
