"""The protocol's number types, and tensors as it puts them on the wire: little-endian, row by row.

Source: the Open Inference Protocol's section 'Tensor Data Types', and the binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTES, BF16 = "BYTES", "BF16"
NUMPY_TYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1",
    "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
DATATYPES = (*NUMPY_TYPES, BF16, BYTES)
_LENGTH_BYTES = 4
"""Before each element of a BYTES tensor stands its length."""


def pack(datatype: str, values: NDArray[Any]) -> bytes:
    """Numbers as the wire has them; of BF16 the upper halves of 32 bits."""
    if datatype == BF16:
        return (np.asarray(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return np.asarray(values, NUMPY_TYPES[datatype]).tobytes()


def pack_bytes(elements: Iterable[bytes]) -> bytes:
    """Of a BYTES tensor."""
    return b"".join(len(one).to_bytes(_LENGTH_BYTES, "little") + one for one in elements)


def unpack(datatype: str, data: bytes) -> list[Any]:
    """The elements of a tensor, in order. Raises ValueError for what is none."""
    if datatype == BYTES:
        return [one.decode(errors="backslashreplace") for one in _elements(data)]
    if datatype == BF16:
        upper: list[Any] = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").tolist()
        return upper
    if datatype not in NUMPY_TYPES:
        raise ValueError(f"'{datatype}' is no number type of the protocol")
    values: list[Any] = np.frombuffer(data, NUMPY_TYPES[datatype]).tolist()
    return values


def _elements(data: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        begin = place + _LENGTH_BYTES
        place = begin + int.from_bytes(data[place:begin], "little")
        if place > len(data):
            raise ValueError("a BYTES tensor ends in the middle of an element")
        yield data[begin:place]
