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
    numbers = [node["node"] for node in facts.run.meta.nodes] or [0]
    unwatched = [number for number in numbers if number not in facts.cpu_use_of_nodes]
    if not unwatched:
        return None
    where = f" on node {', '.join(map(str, unwatched))}" if len(numbers) > 1 else ""
    return Finding(
        reason=Reason.MACHINE_UNWATCHED,
        seen=f"there is no telemetry{where} that tells the run's own use of the CPUs from that of others",
        advice="a run without --no-telemetry",
    )
