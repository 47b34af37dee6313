"""--self-check: what the harness measures beside what queueing theory says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnb.campaigns.campaign import Player
from rnb.campaigns.self_check import CASES, Agreement, Case, Row, compare, play
from rnb.command_line.exit_status import EXIT_INVALID, EXIT_OK
from rnb.show.console import conclude, emit
from rnb.show.text.table import align


def self_check(logs: str, player: Player, cases: Sequence[Case] = CASES) -> int:
    """Play all cases and print how they compare; returns the exit status.

    Raises SelfCheckError, UsageError.
    """
    agreements = []
    for case in cases:
        conclude(f"{case.name}: {case.num_servers} x {case.service_ms:g} ms, for about {case.seconds:.0f} s")
        agreements.append(compare(case, play(case, Path(logs), player)))
    problems = [problem for agreement in agreements for problem in agreement.problems]
    conclude(agreement_text(agreements))
    conclude("\n".join(["INVALID", *(f"  {problem}" for problem in problems)]) if problems else "VALID")
    emit({"is_valid": not problems, "problems": problems})
    return EXIT_INVALID if problems else EXIT_OK


def agreement_text(agreements: Sequence[Agreement]) -> str:
    """What the harness costs, and each figure against theory."""
    lines = [
        f"{one.case.name}: a free server takes a request after {one.overhead.hop_ms:.3f} ms and loses"
        f" {one.overhead.turnaround_ms:.3f} ms between two; see {one.folder}"
        for one in agreements
    ]
    rows = [_cells(row) for one in agreements for row in one.rows]
    header = ["ms", "theory", "with overhead", "measured", "95 % interval", ""]
    return "\n".join([*lines, *align([header, *rows])])


def _cells(row: Row) -> list[str]:
    interval = row.interval_ms
    high = "-" if interval is None or interval.high is None else f"{interval.high:.3f}"
    return [
        row.name,
        *(f"{value:.3f}" for value in (row.theory_ms, row.with_overhead_ms, row.measured_ms)),
        "-" if interval is None else f"{interval.low:.3f} to {high}",
        "agrees" if row.is_met else "differs",
    ]
