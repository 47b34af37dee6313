"""What tells the durations of a profile apart."""

from __future__ import annotations

import json
from typing import NamedTuple

from rnb.pipeline.config import PipelineConfig
from rnb.planner.dimension import AGGREGATE


class Pictures(NamedTuple):
    """What tells the requests of a first step apart."""

    pixels: int = 0
    codec: str = ""


class Key(NamedTuple):
    """What a duration is of."""

    step: str
    """What `variants` calls it."""
    is_gpu: bool
    kind: str
    rows: int
    workers: int = 1
    """Of the replica, of a call."""
    busy: float = 1.0
    """Calls on its device while it ran, with itself, of a call."""
    pixels: int = 0
    """Of the pictures of its request, of a call of the first step; 0: not told."""
    codec: str = ""
    """The same; empty: not told."""
    crowd: float = 0.0
    """What share of the machine's cores was in use while it ran, to a fifth, of a call; 0: not told."""

    @property
    def pictures(self) -> Pictures:
        return Pictures(self.pixels, self.codec)


def variants(config: PipelineConfig) -> list[str]:
    """What tells the calls of each step from those of another: its class and its options, and whether it is
    the first, the last or between, on which hangs what it hands on; of equal ones, which of them it is."""
    found: list[str] = []
    last = len(config.pipeline) - 1
    for index, step in enumerate(config.pipeline):
        options = {**step.options, **step.queue_groups[0].options}
        options.pop(AGGREGATE, None)  # a segment's rows say as much
        name = json.dumps([(index > 0) + (index == last), step.model, options], sort_keys=True)
        number = sum(one.startswith(name) for one in found)
        found.append(f"{name} {number}" if number else name)
    return found
