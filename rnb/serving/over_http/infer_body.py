"""The body of an infer request and of its response: JSON, with the tensors' bytes behind it where asked.

Source: the binary tensor data and classification extensions of NVIDIA's Triton.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from rnb.serving.inference import InferRequest
from rnb.serving.model import VERSION, Model
from rnb.serving.refusal import Refusal
from rnb.serving.tensors import Input, Output, Place, Wanted

HEADER_LENGTH = "Inference-Header-Content-Length"
"""How many bytes of the body are JSON; without it, all."""
Kind = TypeVar("Kind")
_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


def parse(body: bytes, header_length: str | None, *, model: str, version: str) -> InferRequest:
    """Raises Refusal for what is no request."""
    length = _header_length(header_length, len(body))
    told = parse_object(body[:length])
    parameters = _take(told, "parameters", dict, {})
    inputs, position = list[Input](), length
    for one in _take(told, "inputs", list, []):
        tensor, position = _input(one, body, position)
        inputs.append(tensor)
    if position != len(body):
        raise Refusal(f"{len(body) - position} bytes behind the JSON belong to no input")
    return InferRequest(
        model=model,
        version=version,
        id=_take(told, "id", str, ""),
        parameters=parameters,
        inputs=inputs,
        outputs=[_wanted(one) for one in _take(told, "outputs", list, [])],
        wants_binary=_take(parameters, "binary_data_output", bool, False),
    )


def parse_object(text: bytes) -> dict[str, Any]:
    """A JSON object. Raises Refusal for anything else."""
    try:
        told = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is no JSON: {error!s:.200}") from None
    if not isinstance(told, dict):
        raise Refusal("the body is no JSON object")
    return told


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _header_length(text: str | None, num_bytes: int) -> int:
    if text is None:
        return num_bytes
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= num_bytes):
        raise Refusal(f"{HEADER_LENGTH}: '{text:.40}' is not within the body's {num_bytes} bytes")
    return int(text)


def _take(told: Mapping[str, Any], name: str, kind: type[Kind], default: Any = None) -> Kind:
    """A member of this kind; without a default it must be there."""
    value = told.get(name, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refusal(f"'{name}' must be {_NAMES[kind]}, and is {json.dumps(value):.80}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal(f"inputs and outputs are objects, not {json.dumps(value):.80}")
    return value


def _input(value: Any, body: bytes, position: int) -> tuple[Input, int]:
    """A tensor, and where in the body the next one's bytes begin."""
    told = _object(value)
    parameters = _take(told, "parameters", dict, {})
    place, raw, elements = _place(parameters), None, None
    if "binary_data_size" in parameters:
        size = _take(parameters, "binary_data_size", int)
        if not 0 <= size <= len(body) - position:
            raise Refusal(
                f"'binary_data_size': {size}, and {len(body) - position} bytes are left in the body"
            )
        raw, position = body[position : position + size], position + size
    if raw is None and place is None:
        elements = _elements(_take(told, "data", list))
    shape = _take(told, "shape", list)
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in shape):
        raise Refusal(f"'shape' must be whole numbers, and is {json.dumps(shape):.80}")
    tensor = Input(
        name=_take(told, "name", str),
        datatype=_take(told, "datatype", str),
        shape=shape,
        elements=elements,
        raw=raw,
        place=place,
    )
    return tensor, position


def _elements(data: Sequence[Any]) -> list[bytes]:
    """The texts of a list, or of one of lists of one."""
    flat = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
    try:
        return [one.encode() for one in flat]
    except AttributeError:
        raise Refusal("'data' of BYTES must be texts") from None
    except UnicodeEncodeError:
        raise Refusal("'data' has a text that is not Unicode") from None


def _place(parameters: Mapping[str, Any]) -> Place | None:
    if "shared_memory_region" not in parameters:
        return None
    return Place(
        region=_take(parameters, "shared_memory_region", str),
        num_bytes=_take(parameters, "shared_memory_byte_size", int),
        offset=_take(parameters, "shared_memory_offset", int, 0),
    )


def _wanted(value: Any) -> Wanted:
    told = _object(value)
    parameters = _take(told, "parameters", dict, {})
    num_classes = _take(parameters, "classification", int, 0)
    if num_classes < 0:
        raise Refusal(f"'classification': {num_classes} is less than 0")
    return Wanted(
        name=_take(told, "name", str),
        num_classes=num_classes,
        place=_place(parameters),
        is_binary=_take(parameters, "binary_data", bool, False),
    )


def render(
    request: InferRequest, outputs: Sequence[tuple[Wanted, Output]], model: Model
) -> tuple[bytes, int | None]:
    """The body of a response, and how many bytes of it are JSON; None: all."""
    raws = [output.raw() if wanted.is_binary and not wanted.place else None for wanted, output in outputs]
    told = {
        "model_name": model.name,
        "model_version": VERSION,
        "outputs": [_rendered(*pair, raw) for pair, raw in zip(outputs, raws, strict=True)],
    }
    if request.id:
        told["id"] = request.id
    text = json.dumps(told, separators=(",", ":")).encode()
    behind = [raw for raw in raws if raw is not None]
    return b"".join([text, *behind]), len(text) if behind else None


def _rendered(wanted: Wanted, output: Output, raw: bytes | None) -> dict[str, Any]:
    """One output. That in shared memory has no parameters: clients in C++ would look for their size."""
    told = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
    if wanted.place is not None:
        return told
    if raw is not None:
        return {**told, "parameters": {"binary_data_size": len(raw)}}
    return {**told, "data": [_plain(one) for one in output.elements]}


def _plain(element: Any) -> Any:
    """An element as JSON has it, which knows neither bytes nor NaN."""
    if isinstance(element, bytes):
        return element.decode()
    return None if isinstance(element, float) and math.isnan(element) else element
