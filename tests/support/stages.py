"""What was found of stages, under the titles that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from rnb.contract.events import Stage

Found = TypeVar("Found")


def by_title(found: Mapping[Stage, Found], step_names: Sequence[str] = ()) -> dict[str, Found]:
    return {stage.title(step_names): value for stage, value in found.items()}
