"""What faults that were played on purpose did: latency before, during and after them, losses, recovery."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.statistics import Durations, describe, nearest_rank
from rnb.analysis.steady_state import is_bulk
from rnb.contract.events import END_TO_END
from rnb.record.meta import PlayedFault
from rnb.record.run import Run

USUAL_PERCENT = 90
NUM_IN_A_ROW = 20
"""A run has recovered when the median of so many requests in a row is within the p90 of before."""
Rows = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The measured requests that were due in a part of the run."""

    name: str
    """'before', 'during' or 'after'."""
    start_s: float
    end_s: float
    """From the start of the run."""
    num_requests: int
    num_lost: int
    """Those without a result: failed, refused, or without any outcome."""
    latency: Durations
    """Of those with one."""


@dataclass(frozen=True, kw_only=True)
class FaultEffect:
    """What one fault did; no parts where it was not played, or all requests came at once."""

    fault: PlayedFault
    parts: tuple[Part, ...]
    recovery_s: float | None
    """From its end until latency was usual again."""
    recovery: str
    """In words."""

    def to_json(self) -> dict[str, Any]:
        parts = [{**asdict(part), "latency": part.latency.to_json(())} for part in self.parts]
        return {
            **self.fault.model_dump(),
            "parts": parts,
            "recovery_s": self.recovery_s,
            "recovery": self.recovery,
        }


def fault_effects(run: Run) -> list[FaultEffect]:
    """Of each fault, in the order in which they were asked for."""
    return [_effect(run, fault) for fault in run.meta.faults]


def _effect(run: Run, fault: PlayedFault) -> FaultEffect:
    if fault.start_epoch_ns is None or fault.end_epoch_ns is None:
        return _told(fault, "it was not played: the run was over before its time")
    if is_bulk(run):
        return _told(fault, "all requests were due at once: there is no latency before and after it")
    parts = _parts(run, fault)
    before, _, after = (rows for _, rows in parts.values())
    recovery_s, words = _recovery(run, fault, before, after)
    return FaultEffect(
        fault=fault,
        parts=tuple(_part(run, name, span_ns, rows) for name, (span_ns, rows) in parts.items()),
        recovery_s=recovery_s,
        recovery=words,
    )


def _told(fault: PlayedFault, why: str) -> FaultEffect:
    return FaultEffect(fault=fault, parts=(), recovery_s=None, recovery=why)


def _parts(run: Run, fault: PlayedFault) -> dict[str, tuple[tuple[int, int], Rows]]:
    """The span and the requests of each part; other faults are kept out of 'before' and 'after'."""
    start_ns, end_ns = fault.start_epoch_ns or 0, fault.end_epoch_ns or 0
    others = [other for other in run.meta.faults if other is not fault]
    before_ns = [one.end_epoch_ns for one in others if one.end_epoch_ns and one.end_epoch_ns <= start_ns]
    after_ns = [one.start_epoch_ns for one in others if one.start_epoch_ns and one.start_epoch_ns >= end_ns]
    due_ns = run.due_ns
    over_ns = max(run.end_ns, int(due_ns.max()) + 1)  # of a run that was cut short some are due after it
    first_ns, last_ns = max([run.window_ns[0], *before_ns]), min([over_ns, *after_ns])
    spans = {"before": (first_ns, start_ns), "during": (start_ns, end_ns), "after": (end_ns, last_ns)}
    return {
        name: ((low, high), run.is_measured & (due_ns >= low) & (due_ns < high))
        for name, (low, high) in spans.items()
    }


def _part(run: Run, name: str, span_ns: tuple[int, int], rows: Rows) -> Part:
    finished = rows & run.ended_as("finished")
    start_s, end_s = ((time_ns - run.start_ns) / 1e9 for time_ns in span_ns)
    return Part(
        name=name,
        start_s=start_s,
        end_s=end_s,
        num_requests=int(np.count_nonzero(rows)),
        num_lost=int(np.count_nonzero(rows & ~finished)),
        latency=describe(END_TO_END, run.latency_ms[finished]),
    )


def _recovery(run: Run, fault: PlayedFault, before: Rows, after: Rows) -> tuple[float | None, str]:
    end_ns = fault.end_epoch_ns or 0
    if end_ns >= run.end_ns:
        return None, "it lasted until the run ended"
    usual_ms = np.sort(run.latency_ms[before & run.ended_as("finished")])
    latency_ms = run.latency_ms[after]
    num_after = int(np.count_nonzero(~np.isnan(latency_ms)))
    if not num_after and not run.meta.is_success:
        return None, "nothing finished that was due after it"
    if min(len(usual_ms), num_after) < NUM_IN_A_ROW:
        return None, f"recovery is not known: it takes {NUM_IN_A_ROW} finished requests before and after it"
    bound_ms = nearest_rank(usual_ms, USUAL_PERCENT)
    endless_ms = np.where(np.isnan(latency_ms), np.inf, latency_ms)
    medians_ms = np.median(np.lib.stride_tricks.sliding_window_view(endless_ms, NUM_IN_A_ROW), axis=1)
    usual = np.flatnonzero(medians_ms <= bound_ms)
    if not len(usual):
        return None, f"it did not recover: no {NUM_IN_A_ROW} requests in a row were within {bound_ms:.3f} ms"
    since_ns = int(run.due_ns[after][usual[0]]) if usual[0] else end_ns
    recovery_s = (since_ns - end_ns) / 1e9
    usual_again = f"recovered {recovery_s:.3f} s after its end"
    return recovery_s, f"{usual_again} (within {bound_ms:.3f} ms, the p{USUAL_PERCENT} before)"
