"""The figures of a run: what summary.json holds and what is printed at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.littles_law import LittlesLaw, littles_law
from rnb.analysis.occupancy import Occupancy, occupancy_of
from rnb.analysis.queue_depth import QueueDepth, queue_depths
from rnb.analysis.statistics import Durations, describe, stage_durations_ms
from rnb.analysis.steady_state import SteadyState, find_steady_state, is_bulk
from rnb.analysis.utilization import Utilization, replica_utilizations, worker_utilizations
from rnb.contract.events import END_TO_END, SENT
from rnb.record.run import Run, Times

SUMMARY_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Goodput:
    """The requests that finished within the bound that --slo asks for."""

    slo_ms: float
    per_s: float
    share: float
    """Of all requests that were due: one that failed or was refused is not within any bound."""


@dataclass(frozen=True, kw_only=True)
class SteadyFigures:
    """Over the steady window only."""

    start_s: float
    seconds: float
    """From its start, counted from that of the measured phase, to its end."""
    videos_per_s: float
    clips_per_s: float | None
    goodput: Goodput | None
    end_to_end: Durations | None
    """Of the requests that were due in the window; None of a bulk run, where all were due before it."""
    littles_law: LittlesLaw | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Over the measured phase: no figure counts a request of the warm-up."""

    num_warmup: int
    num_scheduled: int
    num_sent: int
    num_refused: int
    num_failed: int
    num_finished: int
    seconds: float
    videos_per_s: float
    clips_per_s: float | None
    goodput: Goodput | None
    """None without --slo."""
    durations: list[Durations]
    """Each stage in order, then lateness, service time and end-to-end latency."""
    littles_law: LittlesLaw | None
    """Of the measured requests: it holds exactly unless some are lost. The one in `steady` is the test."""
    steady_state: SteadyState
    steady: SteadyFigures | None
    """None unless the run has a steady window."""
    utilizations: list[Utilization]
    """Of each replica."""
    queue_depths: list[QueueDepth]
    occupancy: Occupancy | None
    """Of --occupancy."""
    step_names: list[str]

    @property
    def end_to_end(self) -> Durations:
        return next(entry for entry in self.durations if entry.stage == END_TO_END)

    def to_json(self) -> dict[str, Any]:
        figures = {"schema_version": SUMMARY_VERSION, **asdict(self)}
        figures["durations"] = [entry.to_json(self.step_names) for entry in self.durations]
        if self.steady and self.steady.end_to_end:
            figures["steady"]["end_to_end"] = self.steady.end_to_end.to_json(self.step_names)
        return figures


def summarize(run: Run, step_names: Sequence[str] | None = None) -> Summary:
    """The figures of a run; the steps are called by `step_names` if given, else as the run calls them."""
    is_measured, is_finished, seconds = run.is_measured, run.finished, run.seconds
    stages = stage_durations_ms(run, is_finished)
    steady_state = find_steady_state(run)
    sent = run.times.get(SENT, run.due_ns)
    return Summary(
        num_warmup=run.num_warmup,
        num_scheduled=int(np.count_nonzero(is_measured)),
        num_sent=int(np.count_nonzero(sent[is_measured])),
        num_refused=int(np.count_nonzero(is_measured & run.ended_as("refused"))),
        num_failed=int(np.count_nonzero(is_measured & run.ended_as("failed"))),
        num_finished=int(np.count_nonzero(is_finished)),
        seconds=seconds,
        videos_per_s=float(np.count_nonzero(is_finished)) / seconds if seconds > 0 else 0.0,
        clips_per_s=_clips_per_s(run, is_finished, seconds),
        goodput=_goodput(run, is_measured, seconds),
        durations=[describe(stage, values) for stage, values in stages.items()],
        littles_law=littles_law(run, 0.0, seconds, only_measured=True),
        steady_state=steady_state,
        steady=_steady_figures(run, steady_state),
        utilizations=replica_utilizations(worker_utilizations(run)),
        queue_depths=queue_depths(run),
        occupancy=occupancy_of(run),
        step_names=list(run.step_names if step_names is None else step_names),
    )


def _steady_figures(run: Run, state: SteadyState) -> SteadyFigures | None:
    """Throughput counts all that finish in the window, latency and goodput those that were due in it."""
    if not state.is_steady or state.start_s is None or state.end_s is None:
        return None
    ends_s, due_s = _since_start_s(run, run.ends_ns), _since_start_s(run, run.due_ns)
    is_finished = run.ended_as("finished")
    ends_inside = is_finished & (ends_s >= state.start_s) & (ends_s < state.end_s)
    due_inside = run.is_measured & (due_s >= state.start_s) & (due_s <= state.end_s)
    seconds = state.end_s - state.start_s
    bulk = is_bulk(run)
    return SteadyFigures(
        start_s=state.start_s,
        seconds=seconds,
        videos_per_s=float(np.count_nonzero(ends_inside)) / seconds,
        clips_per_s=_clips_per_s(run, ends_inside, seconds),
        goodput=None if bulk else _goodput(run, due_inside, seconds),
        end_to_end=None if bulk else describe(END_TO_END, run.latency_ms[due_inside & is_finished]),
        littles_law=None if bulk else littles_law(run, state.start_s, state.end_s),
    )


def _since_start_s(run: Run, times_ns: Times) -> NDArray[np.float64]:
    since_s: NDArray[np.float64] = (times_ns - run.window_ns[0]) / 1e9
    return since_s


def _clips_per_s(run: Run, counts: NDArray[np.bool_], seconds: float) -> float | None:
    if "num_clips" not in run.requests or seconds <= 0:
        return None
    return float(run.requests["num_clips"][counts].sum()) / seconds


def _goodput(run: Run, counts: NDArray[np.bool_], seconds: float) -> Goodput | None:
    slo_ms = run.args.get("slo")
    num_due = int(np.count_nonzero(counts))
    if slo_ms is None or not num_due or seconds <= 0:
        return None
    num_within = float(np.count_nonzero(counts & (run.latency_ms <= slo_ms)))
    return Goodput(slo_ms=float(slo_ms), per_s=num_within / seconds, share=num_within / num_due)
