"""What comes out of a pipeline for a request, and how two runs' results for it are compared.

The payload that the last step gives a request is its result: bytes, or anything that JSON knows. A step says
of which kind its results are (`Step.result_kind`); the kind knows which columns of requests.parquet they
fill, and when two of them agree.
"""

from __future__ import annotations

import json
import math
from typing import Any, ClassVar, NamedTuple, Protocol

MAX_RESULT_BYTES = 1 << 20
"""A larger result fails its request."""


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


class ToleranceResult(JsonResult):
    """What JSON knows: two results agree when their numbers are near each other, and all else is equal.

    A step's own kind, at the top of a module, says how near:

        class Boxes(ToleranceResult):
            absolute, relative = 0.5, 0.01

    Two numbers are near when they differ by `absolute` at most, or by `relative` times the larger of them.
    """

    absolute: ClassVar[float] = 0.0
    relative: ClassVar[float] = 0.0

    @classmethod
    def agree(cls, first: Any, other: Any) -> bool:
        pairs = [(first, other)]
        while pairs:
            one, two = pairs.pop()
            if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
                pairs += [(one[key], two[key]) for key in one]
            elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
                pairs += zip(one, two, strict=True)
            elif not cls._are_near(one, two):
                return False
        return True

    @classmethod
    def _are_near(cls, one: Any, two: Any) -> bool:
        if not (_is_number(one) and _is_number(two)):
            return bool(type(one) is type(two) and one == two)
        try:
            return math.isclose(one, two, rel_tol=cls.relative, abs_tol=cls.absolute)
        except OverflowError:  # whole numbers that no float can hold
            return bool(one == two)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
