"""What comes out of a pipeline for a request, and how two runs' results for it are compared.

The payload that the last step gives a request is its result: bytes, or anything that JSON knows. A step says
of which kind its results are (`Step.result_kind`); the kind knows which columns of requests.parquet they
fill, and when two of them agree.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, Protocol

MAX_RESULT_BYTES = 1 << 20


class ClassAndScore(NamedTuple):
    """The class of a request, -1 for none, and the score of that, NaN for none."""

    label: int = -1
    score: float = math.nan


NO_CLASS = ClassAndScore()


class ResultKind(Protocol):
    """A kind of results."""

    @staticmethod
    def agree(first: Any, other: Any) -> bool:
        """Whether two results for the same request are the same, as far as it matters."""


class ClassResult:
    """`ClassAndScore`: two results agree when the class is the same."""

    @staticmethod
    def agree(first: ClassAndScore, other: ClassAndScore) -> bool:
        return first.label == other.label


class JsonResult:
    """Anything that JSON knows: two results agree when they are equal."""

    @staticmethod
    def agree(first: Any, other: Any) -> bool:
        return bool(first == other)


def encode(result: Any) -> bytes:
    """A result as it is kept. Raises ValueError for one that is too large, or that JSON does not know."""
    if isinstance(result, bytes):
        data = b"b" + result
    else:
        try:
            data = b"j" + json.dumps(result, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"the result is neither bytes nor JSON: {error}") from None
    if len(data) > MAX_RESULT_BYTES:
        raise ValueError(f"the result has {len(data)} bytes; it may have {MAX_RESULT_BYTES}")
    return data


def decode(data: bytes) -> Any:
    """What `encode` was given."""
    return data[1:] if data[:1] == b"b" else json.loads(data[1:])
