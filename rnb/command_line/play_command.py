"""Plays a run: one that tells how it went, or one of several, which is silent."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome, play_and_judge
from rnb.cluster.cluster import cluster_at
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_INVALID, EXIT_OK
from rnb.command_line.flags import spec_of
from rnb.command_line.signals import stop_on_signals
from rnb.observe.observer import Observer
from rnb.pipeline.plan import Plan
from rnb.play import Interruption
from rnb.record.seed_format import namespace_text
from rnb.show import console
from rnb.show.announcer import Announcer
from rnb.show.progress import Progress
from rnb.spec import RunSpec

if TYPE_CHECKING:
    from rnb.show.trace.observer import TraceObserver


def play(args: argparse.Namespace) -> int:
    """One run, from the flags to its report; returns the exit status."""
    trace = _trace(args)
    interruption = Interruption()
    with stop_on_signals(interruption):
        outcome = _outcome(
            spec_of(args),
            Path(args.logs),
            [Announcer(), Progress(), *([trace] if trace else [])],
            announce=_announce,
            warn=console.warn,
            interruption=interruption,
        )
    # Only now, as it takes a while: nothing is measured any more.
    from rnb.analysis.verdict import Judgement
    from rnb.command_line.report import report

    problem = report(outcome, trace=trace, page=args.html)
    console.emit({**outcome.to_json(), "is_success": not problem, "message": problem})
    if problem:
        return EXIT_FAILED
    return EXIT_INVALID if outcome.verdict.judgement is Judgement.INVALID else EXIT_OK


def _trace(args: argparse.Namespace) -> TraceObserver | None:
    if not args.trace:
        return None
    from rnb.show.trace.observer import TraceObserver

    return TraceObserver(args.trace)


def _announce(spec: RunSpec, plan: Plan) -> None:
    console.detail(f"Args: {namespace_text(spec.flags())}")
    announce_weights(plan, spec.load.seed)


def announce_weights(plan: Plan, seed: int) -> None:
    """Say so where a network's weights are random."""
    asked = [replica.options["checkpoint"] for replica in plan.replicas if "checkpoint" in replica.options]
    if not all(asked):
        console.say(f"No --checkpoint: the network's weights are random, drawn from seed {seed}")


def play_quietly(
    args: argparse.Namespace, spec: RunSpec, logs: Path, ending: EarlyEnd | None = None
) -> Outcome:
    """One run of several: what it warns of is kept in the outcome, for when it fails.

    Raises KeyboardInterrupt, also where a signal came too late to interrupt it.
    """
    warnings: list[str] = []
    trace = _trace(args)
    observers: list[Observer] = [] if trace is None else [trace]
    interruption = ending.interruption if ending else Interruption()
    with stop_on_signals(interruption) as asked_for:
        outcome = _outcome(
            spec,
            logs,
            [*observers, ending] if ending else observers,
            announce=lambda spec, plan: None,
            warn=warnings.append,
            interruption=interruption,
        )
    if asked_for.is_set:
        raise KeyboardInterrupt
    return replace(outcome, warnings=warnings)


def _outcome(
    spec: RunSpec,
    logs: Path,
    observers: list[Observer],
    *,
    announce: Callable[[RunSpec, Plan], None],
    warn: Callable[[str], None],
    interruption: Interruption,
) -> Outcome:
    return play_and_judge(
        spec,
        logs,
        observers=observers,
        interruption=interruption,
        warn=warn,
        announce=announce,
        cluster=None if spec.placement.cluster is None else cluster_at(spec.placement.cluster),
    )
