"""What a pipeline with a stateful step must be like: requests of a sequence reach that step in order.

So every queue up to that step gives all requests of a sequence to the same replica, and each replica on the
way has one worker.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnb.pipeline.config import ConfigError, PipelineConfig
from rnb.pipeline.step_type import StepType


def check_sequences(config: PipelineConfig, types: Sequence[StepType]) -> int:
    """How many steps keep a sequence in order: up to the last stateful one. Raises ConfigError."""
    num_ordered = max((index + 1 for index, one in enumerate(types) if one.stateful), default=0)
    for index, step in enumerate(config.pipeline[:num_ordered]):
        place, is_last = f"pipeline[{index}]", index == num_ordered - 1
        for number, group in enumerate(step.queue_groups):
            if (workers := group.workers or step.workers or 1) > 1:
                raise ConfigError(
                    f"{place}.queue_groups[{number}].workers",
                    f"{workers}: {_why(types)}, and workers overtake each other; have more replicas instead",
                )
        if types[index].regroups or (step.num_segments > 1 and not is_last):
            raise ConfigError(
                place, f"{_why(types)}, so neither it nor one before it may pack or split requests"
            )
        if is_last:
            break
        queues = {queue for group in step.queue_groups for queue in group.out_queues or ()}
        if len(queues) > 1:
            raise ConfigError(
                f"{place}.queue_groups",
                f"{len(queues)} output queues: {_why(types)}, so there must be one",
            )
    return num_ordered


def _why(types: Sequence[StepType]) -> str:
    name = next(one.name for one in types if one.stateful)
    return f"{name} takes the requests of a sequence in order"
