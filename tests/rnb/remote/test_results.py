"""What is kept of an answer."""

from __future__ import annotations

import json
import math
import struct

import pytest

from rnb.pipeline.served_model import ServedResult
from rnb.remote.datatypes import pack_bytes
from rnb.remote.results import elements, result_of_http

SUM = {"name": "SUM", "datatype": "FP32", "parameters": {"binary_data_size": 4}}
LABEL = {"name": "LABEL", "datatype": "BYTES", "parameters": {"binary_data_size": 7}}
NUMBER, TEXT = b"\0\0\x80?", pack_bytes([b"cat"])


def test_the_label_is_kept_where_there_is_one_and_else_the_first_output() -> None:
    for outputs, data, kept in (
        ([SUM, LABEL], NUMBER + TEXT, ["cat"]),
        ([LABEL, SUM], TEXT + NUMBER, ["cat"]),
        ([SUM], NUMBER, [1.0]),
    ):
        told = json.dumps({"outputs": outputs}).encode()
        assert result_of_http(told + data, len(told)) == kept


def test_numbers_that_are_none_are_kept_as_texts() -> None:
    assert elements("FP32", struct.pack("<3f", 1, math.inf, math.nan)) == [1.0, "inf", "nan"]


def test_json_without_tensors_is_an_answer_too() -> None:
    told = {"outputs": [{"name": "X", "datatype": "INT32", "shape": [2, 2], "data": [[1, 2], [3, 4]]}]}
    assert result_of_http(json.dumps(told).encode(), None) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"outputs":[]}', b'{"outputs":[{"name":"X"}]}', b'{"x']
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        result_of_http(body, None)


def test_results_agree_where_their_numbers_are_near() -> None:
    assert ServedResult.agree([1.0, "cat"], [1.0005, "cat"])
    assert not ServedResult.agree([1.0], [1.01])
    assert not ServedResult.agree(["cat"], ["dog"])
