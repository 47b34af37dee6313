"""Whether steps fit those that take what they put out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rnb.pipeline.config import PipelineConfig
from rnb.pipeline.step_type import StepType


def check_neighbours(
    config: PipelineConfig, types: Sequence[StepType], options: Sequence[Sequence[Any]]
) -> None:
    """`options`: of each step, of each of its queue groups. Raises ConfigError."""
    for index, following in pairwise(range(len(types))):
        for number, group in enumerate(config.pipeline[index].queue_groups):
            for its_number, its_group in enumerate(config.pipeline[following].queue_groups):
                if set(group.out_queues or ()).intersection(its_group.in_queues):
                    types[index].check_following(
                        index, number, options[index][number], options[following][its_number]
                    )
