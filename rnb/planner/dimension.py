"""One thing that may vary between a config and its candidates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

AGGREGATE = "aggregate"
"""The option in which a step that joins segments says how many there are."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A key of a step, of a queue group or of the run, and what it may be."""

    name: str
    """As tables show it."""
    key: str
    step: int | None = None
    """None: of the whole run."""
    group: int | None = None
    """Of the step's queue groups; None: of the step."""
    choices: Sequence[Any]
    """As JSON has them; None: left out."""
    now: Any
    """What the config has."""
    joined_by: int | None = None
    """The step that joins as many segments as this says."""

    @cached_property
    def _given(self) -> dict[Any, Any]:
        return {frozen(choice): choice for choice in (self.now, *self.choices)}

    @cached_property
    def values(self) -> list[Any]:
        """The choices as values that can be told apart and kept; those of numbers in order."""
        listed = [frozen(choice) for choice in self.choices]
        return listed if self.start in listed else [self.start, *listed]

    @property
    def start(self) -> Any:
        return frozen(self.now)

    def set(self, data: dict[str, Any], placement: dict[str, Any], value: Any) -> None:
        """Give a candidate, in the long form of its config, this value."""
        given = self._given[value]
        if self.step is None:
            placement[self.key] = given
            return
        target = data["pipeline"][self.step]
        if self.group is not None:
            target = target["queue_groups"][self.group]
        target[self.key] = list(given) if isinstance(given, tuple) else given
        if given is None:
            del target[self.key]
        if self.joined_by is not None:
            data["pipeline"][self.joined_by][AGGREGATE] = given

    def shown(self, value: Any) -> str:
        """A value, as tables show it."""
        if self.key != "gpus":
            return str(self._given[value])
        places = [f"{value.count(gpu)} on {_device(gpu)}" for gpu in sorted(set(value))]
        return " + ".join(places)


def frozen(value: Any) -> Any:
    """A choice as what it is, as a tuple for a list, or as JSON for anything else: equal ones are equal."""
    if isinstance(value, (list, tuple)) and not any(isinstance(one, (list, tuple, dict)) for one in value):
        return tuple(value)
    return json.dumps(value, sort_keys=True) if isinstance(value, (list, tuple, dict)) else value


def _device(gpu: int) -> str:
    return "the CPU" if gpu < 0 else f"GPU {gpu}"
