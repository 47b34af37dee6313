"""What goes into each input of a model: decided from what the server says of it, and from the flags."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnb.contract.termination import UsageError
from rnb.remote.datatypes import BYTES, DATATYPES, pack, pack_bytes
from rnb.spec import Server

RANDOM, ZEROS, FILE, PATH = "random", "zeros", "file", "path"
HOWS = (RANDOM, ZEROS, FILE, PATH)
MOST_WHOLE_NUMBER = 100
"""Random whole numbers are below it, so that they may be indices; of UINT8 all, as those may be pixels."""
NUM_LETTERS = 16
"""Of a random element of a BYTES tensor."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A tensor that every request has."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    how: str
    """One of HOWS."""

    @property
    def is_of_file(self) -> bool:
        """Whether its content depends on the request's file."""
        return self.how in (FILE, PATH)

    def data(self, generator: np.random.Generator) -> bytes:
        """Its content, where that is not of a file."""
        count = math.prod(self.shape)
        if self.datatype == BYTES:
            return pack_bytes(self._element(generator) for _ in range(count))
        if self.how == ZEROS:
            return pack(self.datatype, np.zeros(count))
        if self.datatype.startswith(("FP", "BF")):
            return pack(self.datatype, generator.random(count))
        most = {"BOOL": 2, "UINT8": 256}.get(self.datatype, MOST_WHOLE_NUMBER)
        return pack(self.datatype, generator.integers(most, size=count))

    def _element(self, generator: np.random.Generator) -> bytes:
        letters = generator.integers(ord("a"), ord("z") + 1, NUM_LETTERS, np.uint8)
        return b"" if self.how == ZEROS else letters.tobytes()


def inputs_of(model: Mapping[str, Any], config: Mapping[str, Any], server: Server) -> list[Input]:
    """The inputs of every request. `model`, `config`: what the server told. Raises UsageError."""
    named, shapes = _pairs("--input", server.input, "="), _pairs("--shape", server.shape, ":")
    declared = {one["name"]: one for one in model.get("inputs", [])}
    for flag, given in (("--input", named), ("--shape", shapes)):
        for name in given:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise UsageError(f"{flag} {name}: the inputs of {server.model} are: {known}")
    optional = {one["name"] for one in config.get("input", []) if one.get("optional")}
    asked = [one for name, one in declared.items() if name in {*named, *shapes} or name not in optional]
    return [_input(one, named.get(one["name"], RANDOM), shapes.get(one["name"])) for one in asked]


def _pairs(flag: str, given: Sequence[str], sign: str) -> dict[str, str]:
    """By the name of the input; a name may have colons itself."""
    pairs = {}
    for text in given:
        name, found, value = text.rpartition(sign)
        if not found or not name:
            raise UsageError(f"{flag} {text}: must be NAME{sign}…")
        pairs[name] = value
    return pairs


def _input(declared: Mapping[str, Any], how: str, dimensions: str | None) -> Input:
    name, datatype = declared["name"], str(declared["datatype"])
    if how not in HOWS:
        raise UsageError(f"--input {name}={how}: must be one of {', '.join(HOWS)}")
    if datatype not in DATATYPES:
        raise UsageError(f"input '{name}' is of {datatype}, which RnB cannot make")
    if how in (FILE, PATH) and datatype != BYTES:
        raise UsageError(f"--input {name}={how}: the input is of {datatype}, and only BYTES can have that")
    shape = _shape(name, [int(one) for one in declared["shape"]], dimensions, is_one=how in (FILE, PATH))
    return Input(name=name, datatype=datatype, shape=shape, how=how)


def _shape(name: str, declared: list[int], dimensions: str | None, *, is_one: bool) -> tuple[int, ...]:
    """The declared shape, with what it leaves open: the first of its sizes is a batch of 1 then."""
    shape = [abs(one) for one in declared] if is_one else list(declared)
    if shape and shape[0] < 0:
        shape[0] = 1
    if dimensions is not None:
        shape = _given_shape(name, declared, dimensions)
    if min(shape, default=1) < 0:
        example = ",".join(str(one) if one > 0 else "N" for one in shape)
        raise UsageError(f"input '{name}' has the shape {declared}: say --shape {name}:{example}")
    if is_one and math.prod(shape) != 1:
        raise UsageError(f"input '{name}' has the shape {declared}: a file is one element of it")
    return tuple(shape)


def _given_shape(name: str, declared: list[int], dimensions: str) -> list[int]:
    place = f"--shape {name}:{dimensions}"
    try:
        given = [int(one) for one in dimensions.split(",")]
    except ValueError:
        raise UsageError(f"{place}: must be whole numbers, as 3,224,224") from None
    if len(given) == len(declared) - 1 and declared[0] < 0:
        given = [1, *given]
    fits = len(given) == len(declared) and all(
        one > 0 and of_model in (-1, one) for one, of_model in zip(given, declared, strict=True)
    )
    if not fits:
        raise UsageError(f"{place}: the server's shape is {declared}")
    return given
