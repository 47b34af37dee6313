"""What is looked at for a verdict: a check for each reason, and the notes.

Each check returns what it has found, or None when all is well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.early_stopping import TailBound, judge_bound, min_requests
from rnb.analysis.littles_law import littles_law
from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.steady_state import IN_SYSTEM, SteadyState, is_bulk
from rnb.contract.events import SENT
from rnb.contract.termination import Termination
from rnb.record.run import Run
from rnb.record.tables import TELEMETRY

DEFAULT_PERCENTILE = 99.0
"""Of --slo without --percentile."""
MIN_DURATION_S = 60.0
"""Without --min-duration, for a run with --slo or --percentile: what MLPerf's mlperf.conf asked for at first.

It now asks for 600 s (*.Server.min_duration), of results that are published.
"""
LATE_MS, MAX_LATE_SHARE = 1.0, 0.01
"""As Triton Perf Analyzer warns: more than 1 % of the requests more than 1 ms late."""
MAX_LITTLE_DEVIATION, MIN_LITTLE_REQUESTS = 0.1, 100
THROTTLE_BITS = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits of NVML's nvmlDeviceGetCurrentClocksThrottleReasons that a GPU in good order does not show."""
POWER_CAP_BIT = 0x04
"""Usual under full load, so it is only noted."""
MAX_THROTTLED_SHARE = 0.01
MARGIN = 1.1
"""How much more than needed is advised: the next run's arrivals are as random as this one's."""


class Facts:
    """What several checks look at."""

    def __init__(self, run: Run, steady: SteadyState) -> None:
        self.run, self.steady = run, steady
        self.is_measured = run.is_measured
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
            num_over=self.num_measured - int(num_within),
            percentile=self.flag("percentile", DEFAULT_PERCENTILE),
            bound_ms=bound_ms,
        )

    @cached_property
    def throttle_masks(self) -> dict[str, NDArray[np.int64]]:
        """NVML's bits by GPU, in the samples of the measured phase that have them."""
        telemetry = self.run.tables.get(TELEMETRY, {})
        start_ns, end_ns = self.run.window_ns
        masks = {}
        for name, values in telemetry.items():
            gpu, _, reading = name.rpartition(".")
            if reading == "throttle_reasons":
                is_inside = (telemetry["time_ns"] >= start_ns) & (telemetry["time_ns"] <= end_ns)
                masks[gpu] = values[is_inside & ~np.isnan(values)].astype(np.int64)
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


def _requests_lost(facts: Facts) -> Finding | None:
    num_lost = facts.count("unfinished")
    if not num_lost:
        return None
    return Finding(
        reason=Reason.REQUESTS_LOST,
        seen=f"{num_lost} of {facts.num_requests} requests have no outcome",
        advice="run it again, to its end",
    )


def _requests_failed(facts: Facts) -> Finding | None:
    num_failed, accepted = facts.count("failed"), facts.flag("max_failures", 0)
    if num_failed <= accepted:
        return None
    return Finding(
        reason=Reason.REQUESTS_FAILED,
        seen=f"{num_failed} of {facts.num_requests} requests failed, at most {accepted} may",
        advice=f"see 'reason' in requests.parquet; --max-failures {num_failed} accepts them",
    )


def _queue_full(facts: Facts) -> Finding | None:
    full = (Termination.FILENAME_QUEUE_FULL, Termination.FRAME_QUEUE_FULL)
    num_refused = facts.count("refused")
    if not num_refused and facts.run.meta.termination_flag not in full:
        return None
    return Finding(
        reason=Reason.QUEUE_FULL,
        seen=f"a queue was full after {facts.count('finished')} of {facts.num_requests} requests",
        advice=f"{facts.slower()}, or more replicas of the step behind that queue",
    )


def _too_short(facts: Facts) -> Finding | None:
    least_s = facts.flag("min_duration", MIN_DURATION_S if facts.makes_claim else 0.0)
    seconds = facts.run.seconds
    if seconds >= least_s:
        return None
    return Finding(
        reason=Reason.TOO_SHORT,
        seen=f"the measured phase took {seconds:.1f} s, at least {least_s:g} s are asked for",
        advice=facts.longer(MARGIN * least_s / max(seconds, 1e-3)),
    )


def _too_few(facts: Facts) -> Finding | None:
    bound, percentile = facts.tail_bound, facts.flag("percentile")
    if bound is not None:
        needed = 0 if bound.is_met or bound.is_exceeded else bound.num_needed
        seen = (
            f"{_over(bound)}; {bound.num_missing} more within it show with 99 % confidence that"
            f" p{bound.percentile:g} is"
        )
    else:
        needed = 0 if percentile is None else min_requests(1, percentile)
        seen = f"{facts.num_measured} requests, and p{percentile or 0:g} takes at least {needed}"
    if facts.num_measured >= needed:
        return None
    advice = facts.longer(needed / facts.num_measured) if facts.num_measured else f"-v {needed}"
    return Finding(reason=Reason.TOO_FEW_REQUESTS, seen=seen, advice=advice)


def _bound_missed(facts: Facts) -> Finding | None:
    bound = facts.tail_bound
    if bound is None or not bound.is_exceeded:
        return None
    return Finding(
        reason=Reason.BOUND_MISSED,
        seen=f"{_over(bound)}, p{bound.percentile:g} allows {100 - bound.percentile:.3g} %",
        advice=f"{facts.slower()}, or more replicas of the step that most requests wait for",
    )


def _over(bound: TailBound) -> str:
    return f"{bound.num_over} of {bound.num_requests} requests took more than {bound.bound_ms:g} ms"


def _client_late(facts: Facts) -> Finding | None:
    sent_ns = facts.run.times.get(SENT)
    if sent_ns is None or facts.is_bulk or not facts.num_measured:
        return None
    late_ms = (sent_ns[facts.is_measured] - facts.due_ns) / 1e6
    share = np.count_nonzero(late_ms > LATE_MS) / facts.num_measured
    if share <= MAX_LATE_SHARE:
        return None
    return Finding(
        reason=Reason.CLIENT_LATE,
        seen=(
            f"{share:.1%} of the requests were sent more than {LATE_MS:g} ms late, {late_ms.max():.1f} ms at"
            f" worst; {MAX_LATE_SHARE:.0%} may be"
        ),
        advice=f"--clients {2 * facts.flag('clients', 1)}, or fewer processes on the client's CPUs",
    )


def _clocks_throttled(facts: Facts) -> Finding | None:
    shares = {
        (gpu, name): facts.throttled_share(gpu, bit)
        for gpu in facts.throttle_masks
        for bit, name in THROTTLE_BITS.items()
    }
    found = [
        f"{gpu} in {share:.0%} of the samples ({name})"
        for (gpu, name), share in shares.items()
        if share > MAX_THROTTLED_SHARE
    ]
    if not found:
        return None
    return Finding(
        reason=Reason.CLOCKS_THROTTLED,
        seen=f"the GPU slowed itself down: {', '.join(found)}",
        advice="see to its cooling and its power supply (nvidia-smi -q -d PERFORMANCE), then run again",
    )


def _not_steady(facts: Facts) -> Finding | None:
    if facts.steady.is_steady is not False:
        return None
    changes = [change for change in facts.steady.changes if change.is_found]
    if facts.flag("ramp"):
        advice = "a --warmup in which the --ramp ends"
    elif any(change.series == IN_SYSTEM and change.change > 0 for change in changes):
        advice = f"{facts.slower()}, since the queues grow"
    elif not facts.flag("warmup"):
        advice = f"--warmup {_num_due_before(facts, facts.steady.start_s or 0.0)}"
    else:
        advice = facts.longer(3)
    return Finding(reason=Reason.NOT_STEADY, seen=facts.steady.reason, advice=advice)


def _num_due_before(facts: Facts, seconds: float) -> int:
    """At least a tenth of the requests."""
    due_s = (facts.due_ns - facts.run.window_ns[0]) / 1e9
    return max(math.ceil(facts.num_measured / 10), int(np.count_nonzero(due_s < seconds)))


def _littles_law(facts: Facts) -> Finding | None:
    if facts.is_bulk or facts.num_measured < MIN_LITTLE_REQUESTS:
        return None
    last_due_s = float(facts.due_ns.max() - facts.run.window_ns[0]) / 1e9
    law = littles_law(facts.run, 0.0, last_due_s)
    if law is None or abs(law.relative_deviation) <= MAX_LITTLE_DEVIATION:
        return None
    return Finding(
        reason=Reason.LITTLES_LAW,
        seen=(
            f"{law.num_in_system:.2f} requests were in the pipeline on average, but rate times latency is"
            f" {law.arrivals_per_s * law.mean_latency_ms / 1000:.2f}; {MAX_LITTLE_DEVIATION:.0%} more or less"
            " may be"
        ),
        advice=f"{facts.slower()} if the queues grow, else {facts.longer(3)}",
    )


def _bound_note(facts: Facts) -> str | None:
    bound = facts.tail_bound
    if bound is None or not bound.is_met:
        return None
    return (
        f"p{bound.percentile:g} is at most {bound.bound_ms:g} ms, with 99 % confidence: {_over(bound)}, and"
        f" {bound.num_needed} requests are enough with as many over it"
    )


def _steady_note(facts: Facts) -> str | None:
    if facts.steady.is_steady is None:
        return f"not tested for a steady state: {facts.steady.reason}"
    if facts.steady.is_steady and facts.steady.start_s and not facts.is_bulk:
        num_before = _num_due_before(facts, facts.steady.start_s)
        return (
            f"steady from {facts.steady.start_s:.1f} s on; --warmup {num_before} leaves out what came before"
        )
    return None


def _power_note(facts: Facts) -> str | None:
    shares = {gpu: facts.throttled_share(gpu, POWER_CAP_BIT) for gpu in facts.throttle_masks}
    shown = [f"{gpu} in {share:.0%}" for gpu, share in shares.items() if share > MAX_THROTTLED_SHARE]
    return f"at its power cap: {', '.join(shown)} of the samples" if shown else None


def _odd_requests(facts: Facts) -> str | None:
    """What steps have noted of requests that were served all the same."""
    reasons = facts.run.requests.get("reason", np.empty(0, dtype=object))
    remarks = [
        text
        for text, is_served in zip(reasons, facts.run.ended_as("finished"), strict=False)
        if text and is_served
    ]
    if not remarks:
        return None
    return f"{len(remarks)} requests were served with a remark ('reason' in requests.parquet): {remarks[0]}"


CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    _requests_lost,
    _requests_failed,
    _queue_full,
    _too_short,
    _too_few,
    _bound_missed,
    _client_late,
    _clocks_throttled,
    _not_steady,
    _littles_law,
)
NOTES: tuple[Callable[[Facts], str | None], ...] = (
    _bound_note,
    _steady_note,
    _power_note,
    _odd_requests,
)
