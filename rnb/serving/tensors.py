"""Tensors of the Open Inference Protocol: those that a pipeline takes and gives, and their bytes.

Source: "Open Inference Protocol v2", and the binary tensor data extension of NVIDIA's Triton.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnb.serving.refusal import Refusal

PATH, DATA = "PATH", "DATA"
LABEL, SCORE, RESULT = "LABEL", "SCORE", "RESULT"
INPUT_TYPES = {PATH: "BYTES", DATA: "BYTES"}
OUTPUT_TYPES = {LABEL: "INT64", SCORE: "FP32", RESULT: "BYTES"}
_FORMATS = {"INT64": "q", "FP32": "f"}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in a shared memory region a tensor lies."""

    region: str
    num_bytes: int
    offset: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A tensor of a request, as it came; nothing is checked yet."""

    name: str
    datatype: str
    shape: Sequence[int]
    elements: Sequence[bytes] | None = None
    raw: bytes | None = None
    """All elements in the binary form, in the place of `elements`."""
    place: Place | None = None
    """Where `raw` is to be read from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """An output that a request asks for."""

    name: str
    num_classes: int = 0
    """More than 0: as 'score:index:name' strings, of so many classes at most."""
    place: Place | None = None
    is_binary: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A tensor of a response: a row a request of the pipeline."""

    name: str
    datatype: str
    elements: Sequence[Any]

    @property
    def shape(self) -> list[int]:
        return [len(self.elements), 1]

    def raw(self) -> bytes:
        """All elements in the binary form."""
        if self.datatype == "BYTES":
            return join(self.elements)
        return struct.pack(f"<{len(self.elements)}{_FORMATS[self.datatype]}", *self.elements)


def join(elements: Sequence[bytes]) -> bytes:
    """BYTES in the binary form: before each element its length, 4 bytes, little-endian."""
    return b"".join(part for one in elements for part in (_LENGTH.pack(len(one)), one))


def split(name: str, raw: bytes, count: int) -> list[bytes]:
    """The other way. Raises Refusal when it is not so many elements."""
    elements, position = list[bytes](), 0
    while position < len(raw):
        if len(elements) == count or position + 4 > len(raw):
            raise Refusal(f"input '{name}': its shape has {count} elements, its {len(raw)} bytes have not")
        end = position + 4 + _LENGTH.unpack_from(raw, position)[0]
        if end > len(raw):
            raise Refusal(f"input '{name}': element {len(elements)} ends beyond its {len(raw)} bytes")
        elements.append(raw[position + 4 : end])
        position = end
    if len(elements) != count:
        raise Refusal(f"input '{name}': its shape has {count} elements, its bytes have {len(elements)}")
    return elements
