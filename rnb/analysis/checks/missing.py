"""What has to be looked at before a run can be called VALID, and could not be."""

from __future__ import annotations

from rnb.analysis.checks.facts import MARGIN, Facts
from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.steady_state import MIN_REQUESTS

MIN_FACTOR = 1.5
"""At least so much longer, where requests enough were played and too few of them count."""


def steadiness_untested(facts: Facts) -> Finding | None:
    if facts.steady.is_steady is not None:
        return None
    factor = max(MIN_FACTOR, MARGIN * MIN_REQUESTS / max(1, facts.num_measured))
    return Finding(reason=Reason.STEADINESS_UNTESTED, seen=facts.steady.reason, advice=facts.longer(factor))


def machine_unwatched(facts: Facts) -> Finding | None:
    if facts.cpu_use is not None and facts.run.meta.nodes:
        return Finding(
            reason=Reason.MACHINE_UNWATCHED,
            seen="telemetry is of the driver's node: nobody knows what else the other nodes did",
            advice="look at the other nodes yourself",
        )
    if facts.cpu_use is not None:
        return None
    return Finding(
        reason=Reason.MACHINE_UNWATCHED,
        seen="there is no telemetry that tells the run's own use of the CPUs from that of others",
        advice="a run without --no-telemetry",
    )
