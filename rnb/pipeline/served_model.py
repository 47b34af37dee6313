"""A model of a server in the place of a pipeline: one step, of which RnB sees the answers alone."""

from __future__ import annotations

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.contract.result import ToleranceResult
from rnb.contract.step import Step
from rnb.pipeline.plan import Plan
from rnb.pipeline.step_type import StepType


class ServedResult(ToleranceResult):
    """An output of a server, as a list: its numbers are near where they differ by a thousandth."""

    absolute, relative = 1e-3, 1e-3


class ServedModel(Step):
    """What the server does is not RnB's."""

    result_kind = ServedResult


class _Named(StepType):
    @property
    def name(self) -> str:
        """All of it: a model's name may have dots."""
        return self.path


def server_plan(model: str) -> Plan:
    """No replica, queue or slot is RnB's."""
    return Plan(
        queues=[],
        pools=[],
        replicas=[],
        events=(DUE, SENT, Event(EventKind.ANSWERED, 0), Event(EventKind.FINISHED, 0)),
        step_types=(_Named(path=model, cls=ServedModel),),
    )
