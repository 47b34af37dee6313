"""A run that was played, kept and judged: what every campaign, and the command line, do with one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnb.contract.termination import UsageError
from rnb.faults.plan import plan_faults
from rnb.observe.observer import Observer
from rnb.pipeline.plan import Plan
from rnb.play import Interruption, foresee, play
from rnb.processes.launch import Launcher
from rnb.record.run import Run
from rnb.record.run_folder import RunFolderError, create, write_averages, write_summary
from rnb.spec import RunSpec, plan_of, schedule_of

if TYPE_CHECKING:
    from rnb.analysis.fault_effects import FaultEffect
    from rnb.analysis.reasons import Reason
    from rnb.analysis.summary import Summary
    from rnb.analysis.verdict import Verdict
    from rnb.load.schedule import Schedule
    from rnb.remote.clients import RemoteClients


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run gave."""

    run: Run
    summary: Summary
    verdict: Verdict
    fault_effects: Sequence[FaultEffect] = ()
    """Of --fault."""
    problem: str
    """What went wrong, in one line; empty when nothing did."""
    warnings: Sequence[str] = ()
    """What it warned of, where that was kept for later."""

    @property
    def details(self) -> list[str]:
        """What its warnings say, and the traceback of what failed."""
        return [*self.warnings, *filter(None, [self.run.traceback])]

    @property
    def is_success(self) -> bool:
        return not self.problem

    @property
    def has_started(self) -> bool:
        return self.run.meta.start_epoch_ns is not None

    def has_reason(self, reason: Reason) -> bool:
        """Whether it is INVALID for this reason, perhaps among others."""
        return any(finding.reason is reason for finding in self.verdict.findings)

    def to_json(self) -> dict[str, Any]:
        """What --json prints: summary.json, and where the rest is."""
        outcome = {"folder": str(self.run.folder), "is_success": self.is_success, "message": self.problem}
        return {**_kept(self.summary, self.verdict, self.fault_effects), **outcome}


def _kept(summary: Summary, verdict: Verdict, effects: Sequence[FaultEffect]) -> dict[str, Any]:
    """summary.json."""
    faults = [effect.to_json() for effect in effects]
    return {**summary.to_json(), "verdict": verdict.to_json(), "faults": faults}


def play_and_judge(
    spec: RunSpec,
    logs: Path,
    *,
    observers: Sequence[Observer] = (),
    interruption: Interruption | None = None,
    warn: Callable[[str], None] = lambda line: None,
    announce: Callable[[RunSpec, Plan], None] = lambda spec, plan: None,
    cluster: Launcher | None = None,
) -> Outcome:
    """Play a run, keep it in a folder of its own below `logs`, and judge it. Raises UsageError.

    `cluster`: the machines of a run over several.
    `announce` is called when all that can be checked before the start is right.
    """
    foresee(spec)
    spec, schedule = schedule_of(spec)
    plan = plan_of(spec, num_requests=len(schedule))
    plan_faults(spec.faults, plan, schedule)
    clients, asking = _of_server(spec, schedule)
    folder = create(logs, spec.flags())
    announce(spec, plan)
    try:
        run = play(
            spec,
            schedule,
            plan=plan,
            folder=folder,
            observers=[*observers, *asking],
            interruption=interruption,
            warn=warn,
            clients=clients,
            cluster=cluster,
        )
    except UsageError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    return _judged(run, folder)


def _of_server(spec: RunSpec, schedule: Schedule) -> tuple[RemoteClients | None, list[Observer]]:
    """Who sends to it, and who asks for its statistics; what that takes is imported only for one."""
    if spec.server is None:
        return None, []
    from rnb.remote.clients import RemoteClients
    from rnb.remote.served import Served
    from rnb.remote.statistics import StatisticsObserver

    served = Served(spec)
    return RemoteClients(served, tuple(schedule.payloads)), [StatisticsObserver(served)]


def _judged(run: Run, folder: Path) -> Outcome:
    """Work out the figures and keep them. What that takes is imported only now, after the run."""
    from rnb.analysis.fault_effects import fault_effects
    from rnb.analysis.summary import summarize
    from rnb.analysis.verdict import judge
    from rnb.show.text.seed_text import average_lines

    summary = summarize(run)
    verdict = judge(run, summary.steady_state)
    effects = fault_effects(run)
    problem = run.meta.message
    try:
        write_summary(folder, _kept(summary, verdict, effects))
        write_averages(folder, average_lines(run))
    except RunFolderError as error:
        problem = problem or f"the run folder is not complete: {error}"
    return Outcome(run=run, summary=summary, verdict=verdict, fault_effects=effects, problem=problem)
