"""The parameters of a request, as steps may rely on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnb.contract.sequence import END, ID, START
from rnb.live.asking import NotServed, Why


def checked_parameters(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """None: there are none. Raises NotServed for what would harm the step that it comes to."""
    if not parameters:
        return None
    sequence = parameters.get(ID)
    if sequence is not None and (isinstance(sequence, bool) or not isinstance(sequence, int | str)):
        raise NotServed(Why.BAD, f"{ID} is {sequence!r}: it must be a whole number or a text")
    for name in (START, END):
        if not isinstance(parameters.get(name, False), bool):
            raise NotServed(Why.BAD, f"{name} is {parameters[name]!r}: it must be true or false")
    return dict(parameters)
