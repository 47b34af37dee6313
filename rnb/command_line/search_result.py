"""What a search found, as it is told: the table, the best one's config and how to run it, page and JSON."""

from __future__ import annotations

from pathlib import Path

from rnb.planner.finding import SearchFinding
from rnb.planner.goal import Goal
from rnb.planner.memory import BEST, Memory
from rnb.planner.page.search_page import write_search_page
from rnb.planner.plan_text import flags_of, result_lines, shown
from rnb.planner.space import Space
from rnb.planner.verification import Verified
from rnb.show import console


def tell_finding(found: SearchFinding, memory: Memory, page: Path) -> None:
    """Raises PageError, and UsageError for a config that cannot be simulated."""
    if not found.chosen:
        changes = ", ".join(found.space.changes(found.predicted_best)) or "as it is"
        console.conclude(f"best so far (simulated): {changes}")
    else:
        console.conclude("\n".join(result_lines(found.chosen, found.goal, found.space)))
    told = _tell_best(found, found.best, memory) if found.best else None
    write_search_page(page, found)
    console.say(f"page: {page}")
    if told:
        candidates = [_as_json(one, found.goal, found.space) for one in found.chosen]
        console.emit({"folder": str(memory.folder), "page": str(page), **told, "candidates": candidates})


def _tell_best(found: SearchFinding, best: Verified, memory: Memory) -> dict[str, str]:
    """Keeps its config; gives where that is, and the command that runs it."""
    path = memory.write_json(BEST, best.candidate.spec.config.data)
    command = f"python benchmark.py -c {path} {flags_of(best.candidate.spec)}".rstrip()
    console.conclude(f"\nbest: {shown(found.space, best)}\nrun it: {command}")
    if best.measured and not found.goal.is_met(best.measured):
        p99_ms = best.measured.p99_ms
        console.conclude(f"as measured it does not keep {found.goal.slo:g} ms: its p99 is {p99_ms:.4g} ms")
    return {"config": str(path), "command": command}


def _as_json(one: Verified, goal: Goal, space: Space) -> dict[str, object]:
    return {
        "changes": space.changes(one.candidate.values),
        "predicted": one.predicted.to_json(),
        "measured": one.measured.to_json() if one.measured else None,
        "error": one.error(goal),
        "verdict": one.contrast.verdict if one.contrast else None,
        "problem": one.problem,
        "runs": [str(run.folder) for run in one.runs],
    }
