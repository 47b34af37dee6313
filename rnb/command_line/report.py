"""What is printed at the end of a run."""

from __future__ import annotations

from pathlib import Path

from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import is_bulk
from rnb.analysis.tail import attribute_tail
from rnb.campaigns.outcome import Outcome
from rnb.show.console import complain, conclude, detail, is_verbose, say, warn
from rnb.show.judgement import look_of
from rnb.show.page.destination import FILE_NAME
from rnb.show.page.page import PageError, write_page
from rnb.show.page.subject import findings_of, subject_alone
from rnb.show.text.fault_text import fault_text
from rnb.show.text.headline_text import headline
from rnb.show.text.node_text import node_table
from rnb.show.text.occupancy_text import occupancy_text
from rnb.show.text.seed_text import average_lines
from rnb.show.text.server_text import server_text
from rnb.show.text.summary_text import table
from rnb.show.text.tail_text import tail_table
from rnb.show.text.verdict_text import verdict_text
from rnb.show.trace.observer import TraceObserver


def report(outcome: Outcome, *, trace: TraceObserver | None, page: str | None) -> str:
    """Print verdict and figures, write the page, say what went wrong; returns what did first, empty when
    nothing did.

    `page`: where to, '' for the run's folder, None for none.
    """
    folder, problems = outcome.run.folder, [outcome.problem]
    assert folder is not None
    if outcome.has_started:
        conclude(verdict_text(outcome.verdict), sgr=look_of(outcome.verdict).sgr)
        conclude(headline(outcome.summary, is_bulk=is_bulk(outcome.run)))
        _print_figures(outcome)
        if trace is not None:
            say(trace.line)
            problems.append(trace.problem)
        if page is not None:
            problems.append(_write_page(Path(page or folder / FILE_NAME), outcome))
    conclude(f"run folder: {folder}")
    problems = list(filter(None, problems))
    if problems and outcome.run.traceback:
        warn(outcome.run.traceback)
    for problem in problems:
        complain(problem)
    return problems[0] if problems else ""


def _print_figures(outcome: Outcome) -> None:
    run, summary = outcome.run, outcome.summary
    detail("\n".join(["", *average_lines(run)]))
    say("\n" + table(summary, has_all_stages=is_verbose()) + "\n")
    if summary.nodes:
        say(node_table(summary.nodes) + "\n")
    if tail := attribute_tail(steady_part(run, summary.steady_state)):
        say(tail_table(tail, run.step_names, has_all_stages=is_verbose()) + "\n")
    if summary.server_steps:
        say(server_text(summary.server_steps) + "\n")
    if outcome.fault_effects:
        say(fault_text(outcome.fault_effects) + "\n")
    if summary.occupancy:
        say(occupancy_text(summary.occupancy, summary.step_names) + "\n")


def _write_page(path: Path, outcome: Outcome) -> str:
    """Returns the problem, if there was one."""
    try:
        write_page(path, [subject_alone(findings_of(outcome.run, outcome.summary, outcome.verdict))])
    except PageError as error:
        return str(error)
    say(f"page: {path}")
    return ""
