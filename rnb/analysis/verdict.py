"""VALID or INVALID: whether a run's figures can be trusted, why not, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnb.analysis.checks import CHECKS, NOTES
from rnb.analysis.checks.facts import Facts
from rnb.analysis.early_stopping import TailBound
from rnb.analysis.reasons import Finding
from rnb.analysis.steady_state import SteadyState, find_steady_state
from rnb.record.run import Run


@dataclass(frozen=True, kw_only=True)
class Verdict:
    findings: tuple[Finding, ...]
    """Why the run is INVALID; none when it is VALID."""
    notes: tuple[str, ...]
    """What to know, though it makes nothing INVALID."""
    tail_bound: TailBound | None
    """The outcome of LoadGen's test, where a bound was asked for."""

    @property
    def is_valid(self) -> bool:
        return not self.findings

    @property
    def headline(self) -> str:
        reasons = ", ".join(finding.reason.value for finding in self.findings)
        return f"INVALID: {reasons}" if reasons else "VALID"

    def to_json(self) -> dict[str, Any]:
        return {
            "is_valid": self.is_valid,
            "reasons": [
                {"reason": finding.reason.value, "seen": finding.seen, "advice": finding.advice}
                for finding in self.findings
            ],
            "notes": list(self.notes),
        }


def judge(run: Run, steady: SteadyState | None = None) -> Verdict:
    """The verdict on a run that passed its start barrier; `steady`: its steady state, where that is known."""
    facts = Facts(run, steady or find_steady_state(run))
    findings = [check(facts) for check in CHECKS]
    notes = [note(facts) for note in NOTES]
    return Verdict(
        findings=tuple(finding for finding in findings if finding is not None),
        notes=tuple(note for note in notes if note is not None),
        tail_bound=facts.tail_bound,
    )
