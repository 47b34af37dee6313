"""What became of the requests of a run that came to its end: failed, or served with a remark."""

from __future__ import annotations

import numpy as np

from rnb.analysis.checks.facts import Facts
from rnb.analysis.reasons import Finding, Reason


def requests_failed(facts: Facts) -> Finding | None:
    num_failed, accepted = facts.count("failed"), facts.flag("max_failures", 0)
    if num_failed <= accepted:
        return None
    return Finding(
        reason=Reason.REQUESTS_FAILED,
        seen=f"{num_failed} of {facts.num_requests} requests failed, at most {accepted} may",
        advice=f"see 'reason' in requests.parquet; --max-failures {num_failed} accepts them",
    )


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
