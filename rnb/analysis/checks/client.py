"""Whether the client sent the requests when they were due, and why it did not."""

from __future__ import annotations

import numpy as np

from rnb.analysis.checks.facts import Facts
from rnb.analysis.checks.other_load import is_loaded
from rnb.analysis.machine_use import CpuUse, mean_use
from rnb.analysis.population import Population
from rnb.analysis.reasons import Finding, Reason
from rnb.contract.events import SENT

LATE_MS, MAX_LATE_SHARE = 1.0, 0.01
"""As Triton Perf Analyzer warns: more than 1 % of the requests more than 1 ms late."""
BUSY_CLIENT = 0.5
"""Of a CPU: a client that uses more of it is late for its own work."""
BUSY_CPUS = 0.9


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
        advice=_advice(facts),
    )


def _advice(facts: Facts) -> str:
    most = facts.flag("in_flight", 0) * facts.flag("clients", 1)
    if most and _most_in_flight(facts) >= most:
        return f"{facts.slower()}, as the server left {most} requests without an answer, or more --in-flight"
    use, more_clients = facts.cpu_use, f"--clients {2 * facts.flag('clients', 1)}"
    if use is None:
        return f"{more_clients}, or fewer processes on the client's CPUs"
    if is_loaded(facts):
        return "see to what else the machine does first; with its CPUs for itself the client may keep up"
    if _of_clients(facts, use) > BUSY_CLIENT:
        return more_clients
    if mean_use(facts.run, use.times_ns, use.total) > BUSY_CPUS:
        return f"{facts.slower()}, or more CPUs: the run's own processes use all that there are"
    return "a machine that wakes a process within 1 ms: see its CPUs' power saving and virtualization"


def _most_in_flight(facts: Facts) -> int:
    """The most requests that were sent and had no answer yet."""
    run = facts.run
    times_s = ((times - run.start_ns) / 1e9 for times in (run.times[SENT], run.ends_ns))
    return Population(*times_s).max(0.0, (run.end_ns - run.start_ns) / 1e9)


def _of_clients(facts: Facts, use: CpuUse) -> float:
    """How much of a CPU the busiest client used, on average."""
    clients = [values for name, values in use.by_process.items() if name.startswith("client")]
    return max((mean_use(facts.run, use.times_ns, values) for values in clients), default=0.0)
