"""The faults of a run, resolved against its plan and its schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnb.contract.fault import Fault, FaultKind, Moment
from rnb.contract.termination import UsageError
from rnb.load.schedule import Schedule
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.processes.slowness import Slowdown


@dataclass(frozen=True, kw_only=True)
class PlannedFault:
    """Times in ns from the start of the timed part."""

    fault: Fault
    replicas: tuple[ReplicaPlan, ...]
    """Whom it meets; none: the machine."""
    gpu: int | None
    """Whose memory it takes."""
    start_ns: int
    end_ns: int | None
    """None: it lasts until the run ends."""

    @property
    def what(self) -> str:
        """In words, without the time."""
        names = " and ".join(replica.name for replica in self.replicas)
        amount = f"{self.fault.amount:g}"
        return {
            FaultKind.KILL: f"{names} is killed",
            FaultKind.STALL: f"{names} stands still",
            FaultKind.SLOW: f"calls of {names} take {amount} times as long",
            FaultKind.CPU: f"{amount} processes compute beside the run",
            FaultKind.GPU_MEMORY: f"a process holds {amount} GB of GPU {self.gpu}",
        }[self.fault.kind]

    def lasts_after(self, since_ns: int) -> bool:
        """Whether a process that starts then has to know of it."""
        return self.fault.kind is FaultKind.SLOW or self.start_ns >= since_ns

    def describe(self) -> str:
        """A line for --check."""
        end = "" if self.end_ns is None else f" to {self.end_ns / 1e9:.3f} s"
        return f"  {self.fault.text}: {self.what}, from {self.start_ns / 1e9:.3f} s{end}"

    def slowdown_of(self, replica: ReplicaPlan) -> Slowdown | None:
        """What the runner of a replica is told."""
        is_met = replica.name in (one.name for one in self.replicas)
        if self.fault.kind is not FaultKind.SLOW or not is_met:
            return None
        return Slowdown(start_ns=self.start_ns, end_ns=self.end_ns, factor=self.fault.amount)


def plan_faults(faults: Sequence[str], plan: Plan, schedule: Schedule) -> list[PlannedFault]:
    """Raises UsageError for one that cannot be played in this run."""
    return [_planned(text, plan, schedule) for text in faults]


def describe_faults(faults: Sequence[PlannedFault]) -> list[str]:
    """Lines for --check; none without faults."""
    return ["faults:", *(planned.describe() for planned in faults)] if faults else []


def _planned(text: str, plan: Plan, schedule: Schedule) -> PlannedFault:
    try:
        fault = Fault.parse(text)
        start_ns = _at_ns(fault.start, schedule)
        last_ns = int(schedule.arrivals_ns[-1])
        if 0 < last_ns < start_ns:
            raise ValueError(f"the last request is due at {last_ns / 1e9:.3f} s")
        end_ns = None if fault.end is None else _at_ns(fault.end, schedule)
        if fault.kind is FaultKind.STALL:
            end_ns = start_ns + round(fault.amount * 1e9)
        if end_ns is not None and end_ns <= start_ns:
            raise ValueError("it must end after it starts")
        return PlannedFault(
            fault=fault,
            replicas=_replicas(fault, plan),
            gpu=_gpu(plan) if fault.kind is FaultKind.GPU_MEMORY else None,
            start_ns=start_ns,
            end_ns=end_ns,
        )
    except ValueError as error:
        raise UsageError(f"--fault {text}: {error}") from None


def _at_ns(moment: Moment, schedule: Schedule) -> int:
    if not moment.is_percent:
        return round(moment.value * 1e9)
    arrivals_ns = schedule.arrivals_ns
    if not arrivals_ns[-1]:
        raise ValueError(f"all requests are due at once: say in seconds when, instead of {moment}")
    return int(arrivals_ns[min(len(arrivals_ns) - 1, int(moment.value / 100 * len(arrivals_ns)))])


def _replicas(fault: Fault, plan: Plan) -> tuple[ReplicaPlan, ...]:
    if fault.step is None:
        return ()
    of_step = [replica for replica in plan.replicas if replica.step == fault.step]
    if not of_step:
        raise ValueError(f"the pipeline has steps 0 to {plan.num_steps - 1}")
    if fault.replica is None:
        return tuple(of_step if fault.kind is FaultKind.SLOW else of_step[:1])
    if fault.replica >= len(of_step):
        raise ValueError(f"step {fault.step} has replicas 0 to {len(of_step) - 1}")
    return (of_step[fault.replica],)


def _gpu(plan: Plan) -> int:
    if not plan.gpus:
        raise ValueError("the run uses no GPU")
    return plan.gpus[0]
