"""Tensors on the wire."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.remote.datatypes import DATATYPES, pack, pack_bytes, unpack


@pytest.mark.parametrize("datatype", [one for one in DATATYPES if one != "BYTES"])
def test_numbers_come_back(datatype: str) -> None:
    values = [0, 1, 1, 0] if datatype == "BOOL" else [0, 1, 2, 96]
    assert unpack(datatype, pack(datatype, np.array(values))) == values


def test_the_bytes_are_those_of_the_protocol() -> None:
    assert pack("INT32", np.array([1, -1])) == bytes.fromhex("01000000ffffffff")
    assert pack("FP16", np.array([1.0])) == bytes.fromhex("003c")
    assert pack("BF16", np.array([1.0])) == bytes.fromhex("803f")  # the upper half of 0x3f800000
    assert pack_bytes([b"ab", b""]) == b"\x02\0\0\0ab\0\0\0\0"


def test_texts_come_back_whatever_is_in_them() -> None:
    assert unpack("BYTES", pack_bytes([b"cat", b"", b"\xff"])) == ["cat", "", "\\xff"]


@pytest.mark.parametrize(("datatype", "data"), [("BYTES", b"\x09\0\0\0cat"), ("FP32", b"abc"), ("TEXT", b"")])
def test_what_is_no_tensor_is_refused(datatype: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(datatype, data)
