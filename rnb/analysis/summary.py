"""The figures of a run: what summary.json holds and what is printed at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rnb.analysis.intervals import evidence_needed
from rnb.analysis.littles_law import LittlesLaw, littles_law
from rnb.analysis.memory import MemoryUse, memory_uses
from rnb.analysis.node_use import NodeUse, node_uses
from rnb.analysis.occupancy import Occupancy, occupancy_of
from rnb.analysis.queue_depth import QueueDepth, queue_depths
from rnb.analysis.sequences import SequenceFigures, sequence_figures
from rnb.analysis.server_steps import ServerStep, server_steps
from rnb.analysis.statistics import PERCENTILES, Durations, describe, percentile_name, stage_durations_ms
from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import SteadyState, find_steady_state
from rnb.analysis.utilization import Utilization, replica_utilizations, worker_utilizations
from rnb.contract.events import END_TO_END, SENT
from rnb.record.run import Run

SUMMARY_VERSION = 3


@dataclass(frozen=True, kw_only=True)
class Goodput:
    """The requests that finished within the bound that --slo asks for."""

    slo_ms: float
    per_s: float
    share: float
    """Of all requests that were due: one that failed or was refused is not within any bound."""


@dataclass(frozen=True, kw_only=True)
class WholePhase:
    """The main figures with the start that was left out."""

    num_scheduled: int
    num_finished: int
    seconds: float
    videos_per_s: float
    clips_per_s: float | None
    goodput: Goodput | None
    end_to_end: Durations


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Over the measured phase, without a start that was not yet steady: no figure counts a request of the
    warm-up, or of that start."""

    num_warmup: int
    num_cut: int
    """Requests of the start that is left out."""
    num_scheduled: int
    num_sent: int
    num_refused: int
    num_failed: int
    num_dropped: int
    """Of live streams: they came too late."""
    num_finished: int
    seconds: float
    videos_per_s: float
    clips_per_s: float | None
    goodput: Goodput | None
    """None without --slo."""
    durations: list[Durations]
    """Each stage in order, then lateness, service time and end-to-end latency."""
    littles_law: LittlesLaw | None
    steady_state: SteadyState
    whole_phase: WholePhase | None
    """None where nothing is left out: then all figures are of the whole phase."""
    requests_for_intervals: dict[str, int]
    """How many requests the intervals take that the latency does not have, by 'mean' and 'p50' …; empty where
    that is not known."""
    utilizations: list[Utilization]
    """Of each replica."""
    nodes: list[NodeUse]
    """Of each machine of a run over several."""
    queue_depths: list[QueueDepth]
    occupancy: Occupancy | None
    """Of --occupancy."""
    sequences: SequenceFigures | None
    """Of --sequences."""
    memory: list[MemoryUse]
    """Of each replica, with --memory."""
    server_steps: list[ServerStep]
    """What the server said of its models; empty of a run through a pipeline."""
    step_names: list[str]

    @property
    def end_to_end(self) -> Durations:
        return next(entry for entry in self.durations if entry.stage == END_TO_END)

    def to_json(self) -> dict[str, Any]:
        figures = {"schema_version": SUMMARY_VERSION, **asdict(self)}
        figures["durations"] = [entry.to_json(self.step_names) for entry in self.durations]
        if self.whole_phase:
            figures["whole_phase"]["end_to_end"] = self.whole_phase.end_to_end.to_json(self.step_names)
        return figures


def summarize(run: Run, step_names: Sequence[str] | None = None) -> Summary:
    """The figures of a run; the steps are called by `step_names` if given, else as the run calls them."""
    steady = find_steady_state(run)
    part = steady_part(run, steady)
    utilizations = replica_utilizations(worker_utilizations(part))
    is_measured, is_finished, seconds = part.is_measured, part.finished, part.seconds
    evidence = _evidence(steady)
    stages = stage_durations_ms(part, is_finished)
    sent = run.times.get(SENT, run.due_ns)
    return Summary(
        num_warmup=run.num_warmup,
        num_cut=part.num_warmup - run.num_warmup,
        num_scheduled=int(np.count_nonzero(is_measured)),
        num_sent=int(np.count_nonzero(sent[is_measured])),
        num_refused=int(np.count_nonzero(is_measured & run.ended_as("refused"))),
        num_failed=int(np.count_nonzero(is_measured & run.ended_as("failed"))),
        num_dropped=int(np.count_nonzero(is_measured & run.ended_as("dropped"))),
        num_finished=int(np.count_nonzero(is_finished)),
        seconds=seconds,
        videos_per_s=float(np.count_nonzero(is_finished)) / seconds if seconds > 0 else 0.0,
        clips_per_s=_clips_per_s(part),
        goodput=_goodput(part),
        durations=[describe(stage, values, evidence) for stage, values in stages.items()],
        littles_law=littles_law(part),
        steady_state=steady,
        whole_phase=_whole_phase(run) if steady.is_cut else None,
        requests_for_intervals=_requests_for_intervals(steady, evidence),
        utilizations=utilizations,
        nodes=node_uses(part, utilizations),
        queue_depths=queue_depths(part),
        occupancy=occupancy_of(part),
        sequences=sequence_figures(part),
        memory=memory_uses(run),
        server_steps=server_steps(run),
        step_names=list(run.step_names if step_names is None else step_names),
    )


def _evidence(steady: SteadyState) -> float:
    """For intervals: none of a run that is not steady, which is not one state to be described."""
    return 0.0 if steady.slack is None or steady.is_steady is False else steady.slack.evidence


def _requests_for_intervals(steady: SteadyState, evidence: float) -> dict[str, int]:
    if steady.slack is None or not evidence:
        return {}
    needed = {"mean": evidence_needed(), **{percentile_name(p): evidence_needed(p) for p in PERCENTILES}}
    numbers = {name: steady.slack.num_needed(least) for name, least in needed.items() if evidence < least}
    return {name: number for name, number in numbers.items() if number is not None}


def _whole_phase(run: Run) -> WholePhase:
    num_finished, seconds = int(np.count_nonzero(run.finished)), run.seconds
    return WholePhase(
        num_scheduled=int(np.count_nonzero(run.is_measured)),
        num_finished=num_finished,
        seconds=seconds,
        videos_per_s=num_finished / seconds if seconds > 0 else 0.0,
        clips_per_s=_clips_per_s(run),
        goodput=_goodput(run),
        end_to_end=describe(END_TO_END, run.latency_ms[run.finished]),
    )


def _clips_per_s(run: Run) -> float | None:
    if "num_clips" not in run.requests or run.seconds <= 0:
        return None
    return float(run.requests["num_clips"][run.finished].sum()) / run.seconds


def _goodput(run: Run) -> Goodput | None:
    slo_ms, num_due = run.args.get("slo"), int(np.count_nonzero(run.is_measured))
    if slo_ms is None or not num_due or run.seconds <= 0:
        return None
    num_within = float(np.count_nonzero(run.latency_ms[run.is_measured] <= slo_ms))
    return Goodput(slo_ms=float(slo_ms), per_s=num_within / run.seconds, share=num_within / num_due)
