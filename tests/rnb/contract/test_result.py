"""Results: how they are kept, and when two of them agree."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rnb.contract.result import (
    MAX_RESULT_BYTES,
    ClassAndScore,
    ClassResult,
    JsonResult,
    ToleranceResult,
    decode,
    encode,
)

NESTED: list[Any] = []
for _ in range(100_000):
    NESTED = [NESTED]


@pytest.mark.parametrize("result", [b"", b"\x00\xff", "j", "é", 3, [1, None, {"boxes": [0.5]}], {}, False])
def test_a_result_is_kept_as_it_is(result: Any) -> None:
    kept = decode(encode(result))
    assert (type(kept), kept) == (type(result), result)


@pytest.mark.parametrize("result", [{1, 2}, object(), math.nan, [math.inf], b"x".join, NESTED])
def test_what_is_neither_bytes_nor_json_is_refused(result: Any) -> None:
    with pytest.raises(ValueError, match=r"^the result is neither bytes nor JSON: "):
        encode(result)


def test_a_result_has_a_largest_size() -> None:
    assert len(decode(encode(bytes(MAX_RESULT_BYTES - 1)))) == MAX_RESULT_BYTES - 1
    for result in (bytes(MAX_RESULT_BYTES), "x" * MAX_RESULT_BYTES):
        with pytest.raises(ValueError, match=rf"the result has \d+ bytes; it may have {MAX_RESULT_BYTES}"):
            encode(result)


def test_classes_agree_when_their_labels_do() -> None:
    assert ClassResult.agree(ClassAndScore(3, 0.5), ClassAndScore(3, 0.25))
    assert ClassResult.agree(ClassAndScore(), ClassAndScore())
    assert not ClassResult.agree(ClassAndScore(3, 0.5), ClassAndScore(4, 0.5))


def test_json_agrees_when_it_is_equal() -> None:
    assert JsonResult.agree({"boxes": [1, 2]}, {"boxes": [1, 2]})
    assert JsonResult.agree(b"a", b"a")
    assert not JsonResult.agree({"boxes": [1, 2]}, {"boxes": [2, 1]})


class Boxes(ToleranceResult):
    absolute, relative = 0.5, 0.01


FACE: dict[str, Any] = {"name": "ada", "box": [10, 20.0], "score": 200.0, "known": True, "note": None}


def test_within_a_tolerance_numbers_may_differ() -> None:
    assert Boxes.agree(FACE, {**FACE, "box": [10.5, 19.5]})
    assert Boxes.agree(FACE, {**FACE, "score": 202})  # relative
    assert Boxes.agree([[1.0]], [[1]])
    assert Boxes.agree(10**400, 10**400)
    assert Boxes.agree(b"a", b"a")
    assert not ToleranceResult.agree(1.0, 1.0 + 1e-12)
    assert not Boxes.agree(10**400, 10**400 + 1)


@pytest.mark.parametrize(
    "other",
    [
        {**FACE, "box": [10.6, 20.0]},
        {**FACE, "box": [10, 20.0, 30]},
        {**FACE, "box": "10"},
        {**FACE, "name": "bob"},
        {**FACE, "known": 1},
        {**FACE, "note": 0},
        {key: value for key, value in FACE.items() if key != "note"},
        [FACE],
        None,
    ],
)
def test_within_a_tolerance_all_else_must_be_equal(other: Any) -> None:
    assert not Boxes.agree(FACE, other)
    assert not Boxes.agree(other, FACE)


def test_a_tolerance_looks_into_any_depth() -> None:
    assert ToleranceResult.agree(NESTED, NESTED)
