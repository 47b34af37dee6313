"""What cut a run short: before all of its requests had an outcome."""

from __future__ import annotations

from rnb.analysis.checks.facts import Facts
from rnb.analysis.checks.other_load import is_loaded
from rnb.analysis.reasons import Finding, Reason
from rnb.contract.fault import FaultKind
from rnb.contract.termination import Termination


def queue_full(facts: Facts) -> Finding | None:
    full = (Termination.FILENAME_QUEUE_FULL, Termination.FRAME_QUEUE_FULL)
    is_by_queue = facts.run.meta.server is None and facts.count("refused") > 0
    if not is_by_queue and facts.run.meta.termination_flag not in full:
        return None
    load = "see to what else the machine does first; else " if is_loaded(facts) else ""
    return Finding(
        reason=Reason.QUEUE_FULL,
        seen=f"{facts.run.meta.full_queue or 'a queue'} was full {_when(facts)}",
        advice=f"{load}{facts.slower()}, or more replicas of the step behind that queue",
    )


def process_failed(facts: Facts) -> Finding | None:
    if facts.run.meta.termination_flag != Termination.PROCESS_FAILED:
        return None
    return Finding(
        reason=Reason.PROCESS_FAILED,
        seen=f"{facts.run.meta.message}, {_when(facts)}",
        advice=_after_failure(facts),
    )


def _after_failure(facts: Facts) -> str:
    message = facts.run.meta.message
    played = [one.fault for one in facts.run.meta.faults if one.start_epoch_ns is not None]
    if kills := [fault for fault in played if fault.startswith(f"{FaultKind.KILL.value}:")]:
        return f"nothing, where --fault {kills[0]} was to do that"
    if "was killed by SIGKILL" in message:
        return "see who killed it: the kernel does where memory runs out (journalctl -k)"
    return "see what it wrote to stderr, and mend that"


def interrupted(facts: Facts) -> Finding | None:
    if facts.run.meta.termination_flag != Termination.INTERRUPTED:
        return None
    return Finding(
        reason=Reason.INTERRUPTED, seen=f"a signal ended it {_when(facts)}", advice="let it play to its end"
    )


def requests_lost(facts: Facts) -> Finding | None:
    num_lost = facts.count("unfinished")
    if not num_lost:
        return None
    return Finding(
        reason=Reason.REQUESTS_LOST,
        seen=f"{num_lost} of {facts.num_requests} requests have no outcome, though no process failed",
        advice="see the last time that each has in requests.parquet: the step after that lost it",
    )


def _when(facts: Facts) -> str:
    return f"after {facts.count('finished')} of {facts.num_requests} requests"
