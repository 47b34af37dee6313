"""--repeat: the same run several times, and how far its figures differ from run to run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rnb import console
from rnb.analysis.estimate import of_runs
from rnb.analysis.figures import MAIN_ROWS, ROW_OF_FIGURE, figures_of
from rnb.analysis.statistics import align
from rnb.campaign import Campaign, RunFailed
from rnb.report import Result

EXIT_OK, EXIT_FAILED, EXIT_INVALID = 0, 1, 3
Figures = dict[str, float | None]


def repeat(args: argparse.Namespace) -> int:
    """Play the runs, print a line for each and a table at the end. Returns the exit status.

    The schedule is the same in each. Raises UsageError.
    """
    campaign = Campaign(args, "repeat")
    results: list[Result] = []
    console.say(f"{args.repeat} runs in {campaign.folder}")
    try:
        while len(results) < args.repeat and all(result.is_success for result in results):
            results.append(campaign.run())
            console.say(_line(results[-1], len(results), args.repeat))
    except RunFailed as error:
        console.warn(f"benchmark.py: {error}")
        return EXIT_FAILED
    finished = [figures_of(result.run) for result in results if result.is_success]
    if finished:
        console.conclude("\n".join(["", *_table(finished)]))
    console.emit({"folder": campaign.folder, "runs": [result.to_json() for result in results]})
    return _status(results) if campaign.draw() else EXIT_FAILED


def _status(results: Sequence[Result]) -> int:
    if not all(result.is_success for result in results):
        console.warn(f"benchmark.py: {results[-1].problem}")
        return EXIT_FAILED
    return EXIT_OK if all(result.verdict.is_valid for result in results) else EXIT_INVALID


def _line(result: Result, number: int, num_runs: int) -> str:
    figures = figures_of(result.run)
    known = {name: figures[name] for name in MAIN_ROWS}
    shown = ", ".join(f"{name} {value:.3f}" for name, value in known.items() if value is not None)
    return f"run {number} of {num_runs}: {shown}; {result.verdict.headline}"


def _table(runs: Sequence[Figures]) -> list[str]:
    """Throughput, goodput and latency: the mean over the runs with its interval, and the extremes."""
    rows = [["over the runs", "mean", "±", "lowest", "highest"]]
    for name in ROW_OF_FIGURE.values():
        values = [run[name] for run in runs if run.get(name) is not None]
        known = [value for value in values if value is not None]
        if len(known) == len(runs):
            mean = of_runs(known)
            shown = [mean.value, mean.margin, min(known), max(known)]
            rows.append([name, *("-" if value is None else f"{value:.3f}" for value in shown)])
    note = "± : 95 % confidence, Student's t over the runs" if len(runs) > 1 else "± takes at least two runs"
    return [*align(rows), note]
