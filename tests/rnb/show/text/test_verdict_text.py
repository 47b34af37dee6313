"""The verdict, as it is printed."""

from __future__ import annotations

from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.verdict import Verdict
from rnb.show.text.verdict_text import verdict_text


def test_a_run_in_order() -> None:
    assert verdict_text(Verdict(findings=(), notes=(), tail_bound=None)) == "VALID"


def test_the_text_says_what_was_seen_and_what_to_do() -> None:
    findings = (
        Finding(reason=Reason.REQUESTS_FAILED, seen="20 of 1000 requests failed", advice="see 'reason'"),
        Finding(reason=Reason.BOUND_MISSED, seen="20 took more than 40 ms", advice="-mi 20"),
    )
    verdict = Verdict(findings=findings, notes=("at its power cap",), tail_bound=None)
    assert verdict_text(verdict).splitlines() == [
        "INVALID: requests failed, latency bound missed",
        "  requests failed: 20 of 1000 requests failed",
        "    to do: see 'reason'",
        "  latency bound missed: 20 took more than 40 ms",
        "    to do: -mi 20",
        "  note: at its power cap",
    ]
