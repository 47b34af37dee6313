"""What became of the requests of a run that came to its end: failed, or served with a remark."""

from __future__ import annotations

from collections import Counter

import numpy as np

from rnb.analysis.checks.facts import Facts
from rnb.analysis.reasons import Finding, Reason

MOST_REASONS = 3


def requests_failed(facts: Facts) -> Finding | None:
    num_failed, accepted = facts.count("failed") + facts.count("refused"), facts.flag("max_failures", 0)
    if num_failed <= accepted:
        return None
    return Finding(
        reason=Reason.REQUESTS_FAILED,
        seen=f"{num_failed} of {facts.num_requests} requests failed, at most {accepted} may{_why(facts)}",
        advice=f"see 'reason' in requests.parquet; --max-failures {num_failed} accepts them",
    )


def _why(facts: Facts) -> str:
    """The reasons of a server, each with how many have it; those of steps name their requests."""
    if facts.run.meta.server is None:
        return ""
    reasons = Counter(facts.run.requests["reason"][facts.run.ended_as("failed", "refused")])
    shown = [f"{count} x {reason}" for reason, count in reasons.most_common(MOST_REASONS)]
    more = len(reasons) - len(shown)
    return f": {'; '.join(shown)}{f'; and {more} other reasons' if more else ''}"


def odd_requests(facts: Facts) -> str | None:
    """What steps have noted of requests that were served all the same."""
    reasons = facts.run.requests.get("reason", np.empty(0, dtype=object))
    remarks = [
        text
        for text, is_served in zip(reasons, facts.run.ended_as("finished"), strict=False)
        if text and is_served
    ]
    if not remarks:
        return None
    return f"{len(remarks)} requests were served with a remark ('reason' in requests.parquet): {remarks[0]}"
