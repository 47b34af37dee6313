"""Whether the client sent the requests when they were due."""

from __future__ import annotations

import numpy as np

from rnb.analysis.checks.facts import Facts
from rnb.analysis.reasons import Finding, Reason
from rnb.contract.events import SENT

LATE_MS, MAX_LATE_SHARE = 1.0, 0.01
"""As Triton Perf Analyzer warns: more than 1 % of the requests more than 1 ms late."""


def client_late(facts: Facts) -> Finding | None:
    sent_ns = facts.run.times.get(SENT)
    if sent_ns is None or facts.is_bulk or not facts.num_measured:
        return None
    late_ms = (sent_ns[facts.is_measured] - facts.due_ns) / 1e6
    share = np.count_nonzero(late_ms > LATE_MS) / facts.num_measured
    if share <= MAX_LATE_SHARE:
        return None
    return Finding(
        reason=Reason.CLIENT_LATE,
        seen=(
            f"{share:.1%} of the requests were sent more than {LATE_MS:g} ms late, {late_ms.max():.1f} ms at"
            f" worst; {MAX_LATE_SHARE:.0%} may be"
        ),
        advice=f"--clients {2 * facts.flag('clients', 1)}, or fewer processes on the client's CPUs",
    )
