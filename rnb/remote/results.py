"""What is kept of an answer with --keep-results: one of its outputs, as a list."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rnb.remote.datatypes import unpack

PREFERRED = "LABEL"
"""The output that is kept where a model has it; else its first one."""


def chosen(names: Sequence[str]) -> int:
    """Which of the outputs is kept. Raises ValueError where there is none."""
    if not names:
        raise ValueError("the answer has no output")
    return names.index(PREFERRED) if PREFERRED in names else 0


def elements(datatype: str, data: bytes) -> list[Any]:
    """Those of a tensor, as JSON can have them: numbers that are none as texts. Raises ValueError."""
    values = unpack(datatype, data)
    return [str(one) if isinstance(one, float) and not math.isfinite(one) else one for one in values]


def result_of_http(body: bytes, header_bytes: int | None) -> list[Any]:
    """`header_bytes`: how much of the body is JSON, where tensors follow it; None: all of it.

    Raises ValueError for what is no answer of the protocol.
    """
    size = len(body) if header_bytes is None else header_bytes
    try:
        outputs = json.loads(body[:size])["outputs"]
        wanted = chosen([one["name"] for one in outputs])
        sizes = [_binary_size(one) for one in outputs]
        if sizes[wanted] is None:
            return _flat(outputs[wanted]["data"])
        begin = size + sum(one or 0 for one in sizes[:wanted])
        return elements(outputs[wanted]["datatype"], body[begin : begin + (sizes[wanted] or 0)])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the answer is not the protocol's: {error!r}") from None


def _binary_size(output: Mapping[str, Any]) -> int | None:
    size = output.get("parameters", {}).get("binary_data_size")
    return None if size is None else int(size)


def _flat(values: Any) -> list[Any]:
    """JSON may have rows as lists in lists."""
    if not isinstance(values, list):
        return [values]
    return [one for value in values for one in _flat(value)]
