"""What benchmark.py can do: check, play a run, repeat it, search the peak, check itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rnb.analysis.verdict import Judgement
from rnb.campaigns.campaign import RunFailed
from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome, play_and_judge
from rnb.campaigns.self_check import SelfCheckError
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_INVALID, EXIT_OK
from rnb.command_line.flags import spec_of
from rnb.command_line.peak_command import find_peak
from rnb.command_line.repeat_command import repeat
from rnb.command_line.report import report
from rnb.command_line.self_check_command import self_check
from rnb.command_line.signals import stop_on_signals
from rnb.faults.plan import describe_faults, plan_faults
from rnb.load.schedule import make_schedule
from rnb.observe.observer import Observer
from rnb.pipeline.description import describe
from rnb.pipeline.plan import Plan
from rnb.play import Interruption, namespace_text
from rnb.remote.description import describe_server
from rnb.remote.served import Served
from rnb.show import console
from rnb.show.announcer import Announcer
from rnb.show.progress import Progress
from rnb.show.trace.observer import TraceObserver
from rnb.spec import RunSpec, plan_of

Command = Callable[[], int]
"""Returns the exit status; raises UsageError, KeyboardInterrupt."""


def command_of(args: argparse.Namespace) -> Command:
    """What the flags ask for."""
    if args.self_check:
        return _told(partial(self_check, args.logs, partial(_play_quietly, args)))
    if args.check:
        return partial(_check, args)
    if args.find_peak:
        return _told(partial(find_peak, args, partial(_play_quietly, args)))
    if args.repeat is not None:
        return _told(partial(repeat, args, partial(_play_quietly, args)))
    return partial(_play, args)


def _told(command: Command) -> Command:
    """A command whose runs may fail: that is said in a line."""

    def run() -> int:
        try:
            return command()
        except (RunFailed, SelfCheckError) as error:
            console.complain(str(error))
            return EXIT_FAILED

    return run


def _check(args: argparse.Namespace) -> int:
    """Resolve all that can be checked without the videos, and print the plan."""
    spec = spec_of(args)
    load, schedule = make_schedule(spec.load, ["not looked for"])
    spec = spec.with_load(**vars(load))
    plan = plan_of(spec, num_requests=len(schedule))
    described = describe(plan) if spec.server is None else describe_server(Served(spec))
    lines = [described, *describe_faults(plan_faults(spec.faults, plan, schedule))]
    text = "\n".join(lines)
    console.conclude(text)
    console.emit({"plan": text.splitlines()})
    return EXIT_OK


def _play(args: argparse.Namespace) -> int:
    trace = TraceObserver(args.trace) if args.trace else None
    outcome = _outcome(
        spec_of(args),
        Path(args.logs),
        [Announcer(), Progress(), *([trace] if trace else [])],
        announce=_announce,
        warn=console.warn,
    )
    problem = report(outcome, trace=trace, page=args.html)
    console.emit({**outcome.to_json(), "is_success": not problem, "message": problem})
    if problem:
        return EXIT_FAILED
    return EXIT_INVALID if outcome.verdict.judgement is Judgement.INVALID else EXIT_OK


def _announce(spec: RunSpec, plan: Plan) -> None:
    console.detail(f"Args: {namespace_text(spec.flags())}")
    asked = [replica.options["checkpoint"] for replica in plan.replicas if "checkpoint" in replica.options]
    if not all(asked):
        console.say(f"No --checkpoint: the network's weights are random, drawn from seed {spec.load.seed}")


def _play_quietly(
    args: argparse.Namespace, spec: RunSpec, logs: Path, ending: EarlyEnd | None = None
) -> Outcome:
    """One run of several: what it warns of is shown only when it fails."""
    warnings: list[str] = []
    observers: list[Observer] = [TraceObserver(args.trace)] if args.trace else []
    outcome = _outcome(
        spec,
        logs,
        [*observers, ending] if ending else observers,
        announce=lambda spec, plan: None,
        warn=warnings.append,
        interruption=ending.interruption if ending else None,
    )
    if not outcome.is_success and outcome.run.traceback:
        warnings.append(outcome.run.traceback)
    for line in warnings if not outcome.is_success else ():
        console.warn(line)
    return outcome


def _outcome(
    spec: RunSpec,
    logs: Path,
    observers: list[Observer],
    *,
    announce: Callable[[RunSpec, Plan], None],
    warn: Callable[[str], None],
    interruption: Interruption | None = None,
) -> Outcome:
    interruption = interruption or Interruption()
    with stop_on_signals(interruption):
        return play_and_judge(
            spec, logs, observers=observers, interruption=interruption, warn=warn, announce=announce
        )
