"""The verdict on a run, as it is printed."""

from __future__ import annotations

from rnb.analysis.verdict import Verdict


def verdict_text(verdict: Verdict) -> str:
    """The verdict as lines: the word with its reasons, then for each what was seen and what to do."""
    lines = [verdict.headline]
    for finding in verdict.grounds:
        lines += [f"  {finding.reason.value}: {finding.seen}", f"    to do: {finding.advice}"]
    return "\n".join([*lines, *(f"  note: {note}" for note in verdict.notes)])
