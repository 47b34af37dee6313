"""VALID, INVALID or NOT JUDGED: whether a run's figures can be trusted, why not, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from rnb.analysis.checks import CAUSES, CHECKS, CUT_SHORT_NOTES, MISSING, NOTES
from rnb.analysis.checks.facts import Facts
from rnb.analysis.early_stopping import TailBound
from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.steady_state import SteadyState, find_steady_state
from rnb.record.run import Run

MAY_FOLLOW_FROM_LOAD = {Reason.BOUND_MISSED, Reason.CLIENT_LATE, Reason.NOT_STEADY, Reason.LITTLES_LAW}
LOAD_FIRST = "see to the other load first: this may follow from it"


class Judgement(Enum):
    """What can be said of a run's figures."""

    VALID = "VALID"
    INVALID = "INVALID"
    NOT_JUDGED = "NOT JUDGED"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    findings: tuple[Finding, ...]
    """Why the run is INVALID; none when it is not."""
    notes: tuple[str, ...]
    """What to know, though it makes nothing INVALID."""
    tail_bound: TailBound | None
    """The outcome of LoadGen's test, where a bound was asked for."""
    missing: tuple[Finding, ...] = ()
    """What could not be looked at; without findings, the run is NOT JUDGED for it."""

    has_faults: bool = False
    """Whether it was played with --fault: not to be compared with runs without."""

    @property
    def judgement(self) -> Judgement:
        if self.findings:
            return Judgement.INVALID
        return Judgement.NOT_JUDGED if self.missing else Judgement.VALID

    @property
    def is_valid(self) -> bool | None:
        """None: NOT JUDGED."""
        return None if self.judgement is Judgement.NOT_JUDGED else self.judgement is Judgement.VALID

    @property
    def grounds(self) -> tuple[Finding, ...]:
        """All that keeps it from being VALID."""
        return self.findings + self.missing

    @property
    def headline(self) -> str:
        word = f"{self.judgement.value}, with faults" if self.has_faults else self.judgement.value
        reasons = ", ".join(finding.reason.value for finding in self.findings or self.missing)
        return f"{word}: {reasons}" if reasons else word

    def to_json(self) -> dict[str, Any]:
        return {
            "judgement": self.judgement.value,
            "is_valid": self.is_valid,
            "has_faults": self.has_faults,
            "reasons": [finding.to_json() for finding in self.findings],
            "missing": [finding.to_json() for finding in self.missing],
            "notes": list(self.notes),
        }


def judge(run: Run, steady: SteadyState | None = None) -> Verdict:
    """The verdict on a run that passed its start barrier; `steady`: its steady state, where that is known.

    Of a run that was cut short only the cause is told: what else it shows follows from that.
    """
    facts = Facts(run, steady or find_steady_state(run))
    cause = next(filter(None, (check(facts) for check in CAUSES)), None)
    findings = [cause] if cause else _with_advice([check(facts) for check in CHECKS])
    missing = [] if cause else [check(facts) for check in MISSING]
    notes = [note(facts) for note in (CUT_SHORT_NOTES if cause else NOTES)]
    return Verdict(
        findings=tuple(finding for finding in findings if finding is not None),
        missing=tuple(finding for finding in missing if finding is not None),
        notes=tuple(note for note in notes if note is not None),
        tail_bound=facts.tail_bound,
        has_faults=bool(run.meta.faults),
    )


def _with_advice(found: Sequence[Finding | None]) -> list[Finding | None]:
    """Where others took the machine, what may follow from that is no reason to change the run."""
    is_loaded = any(one is not None and one.reason is Reason.OTHER_LOAD for one in found)
    return [
        replace(one, advice=LOAD_FIRST) if is_loaded and one and one.reason in MAY_FOLLOW_FROM_LOAD else one
        for one in found
    ]
