"""--repeat: the runs, a line for each, and how far their figures differ."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rnb.analysis.estimate import of_runs
from rnb.analysis.figures import FIGURES, MAIN_FIGURES, Figure, figures_of
from rnb.analysis.verdict import Judgement
from rnb.campaigns.campaign import Campaign, Player, RunFailed
from rnb.campaigns.outcome import Outcome
from rnb.campaigns.repeat import repeat as play_all
from rnb.command_line.campaign_page import draw
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_INVALID, EXIT_OK
from rnb.command_line.flags import spec_of
from rnb.contract.termination import UsageError
from rnb.show import console
from rnb.show.text.table import align

Figures = Mapping[Figure, float | None]


def repeat(args: argparse.Namespace, player: Player) -> int:
    """Play the runs, print a line for each and a table at the end; returns the exit status.

    What is known by then is printed also where a run fails or the user ends them.
    Raises UsageError, RunFailed, KeyboardInterrupt.
    """
    campaign = Campaign(spec_of(args), Path(args.logs), "repeat", player)
    console.say(f"{args.repeat} runs in {campaign.folder}")
    outcomes: list[Outcome] = []
    problem = ""
    try:
        for outcome in play_all(campaign, args.repeat):
            outcomes.append(outcome)
            console.say(_line(outcome, len(outcomes), args.repeat))
    except (RunFailed, UsageError, KeyboardInterrupt) as error:
        problem = str(error) or "interrupted"
        raise
    finally:
        finished = [figures_of(outcome.run) for outcome in outcomes if outcome.is_success]
        if finished:
            console.conclude("\n".join(["", *_table(finished)]))
        runs = [outcome.to_json() for outcome in outcomes]
        console.emit({"folder": campaign.folder, "runs": runs, "problem": problem})
    return _status(outcomes) if draw(args.html, campaign.folder) else EXIT_FAILED


def _status(outcomes: Sequence[Outcome]) -> int:
    if not all(outcome.is_success for outcome in outcomes):
        console.complain(outcomes[-1].problem, outcomes[-1].details)
        return EXIT_FAILED
    is_invalid = any(outcome.verdict.judgement is Judgement.INVALID for outcome in outcomes)
    return EXIT_INVALID if is_invalid else EXIT_OK


def _line(outcome: Outcome, number: int, num_runs: int) -> str:
    figures = figures_of(outcome.run)
    known = {figure.title(): figures[figure] for figure in MAIN_FIGURES}
    shown = ", ".join(f"{name} {value:.3f}" for name, value in known.items() if value is not None)
    return f"run {number} of {num_runs}: {shown}; {outcome.verdict.headline}"


def _table(runs: Sequence[Figures]) -> list[str]:
    """Throughput, goodput and latency: the mean over the runs with its interval, and the extremes."""
    rows = [["over the runs", "mean", "±", "lowest", "highest"]]
    for figure in FIGURES.values():
        values = [run.get(figure) for run in runs]
        known = [value for value in values if value is not None]
        if len(known) == len(runs):
            mean = of_runs(known)
            shown = [mean.value, mean.margin, min(known), max(known)]
            rows.append([figure.title(), *("-" if value is None else f"{value:.3f}" for value in shown)])
    note = "± : 95 % confidence, Student's t over the runs" if len(runs) > 1 else "± takes at least two runs"
    return [*align(rows), note]
