"""A request of the Open Inference Protocol, whatever carried it, and what the pipeline is asked for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnb.contract.sequence import END, ID, POSITION, START
from rnb.live.asking import Ask
from rnb.serving.data_folder import DataFolder
from rnb.serving.media import check_picture, suffix_of
from rnb.serving.model import Model
from rnb.serving.refusal import Refusal
from rnb.serving.settings import Settings
from rnb.serving.shared_memory import Regions
from rnb.serving.tensors import INPUT_TYPES, PATH, RESULT, Input, Wanted, split

MOST_ID_CHARACTERS = 128
MOST_SEQUENCE = 2**64 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class InferRequest:
    """As it came; only the types of the fields are checked."""

    model: str
    version: str = ""
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[Input] = ()
    outputs: Sequence[Wanted] = ()
    """Empty: all."""
    wants_binary: bool = False
    """Of outputs that it does not name."""


class Reader:
    """Makes of a request what the pipeline is asked, one Ask a row. Raises Refusal for whatever is wrong."""

    def __init__(self, model: Model, settings: Settings, regions: Regions) -> None:
        self._model, self._settings, self._regions = model, settings, regions
        self._data = DataFolder(settings.data)

    def asks_of(self, request: InferRequest, *, trace_id: str, timeout_s: float | None) -> list[Ask]:
        self._model.check_asked(request.model, request.version)
        parameters = sequence_of(request.parameters)
        if self._model.is_stateful and not parameters:
            raise Refusal(
                "this pipeline keeps a state for each sequence: say sequence_id, and sequence_start"
            )
        deadline_ns = deadline_of(timeout_s, request.parameters.get("timeout"))
        return [
            self.ask(payload, suffix, parameters=parameters, deadline_ns=deadline_ns, trace_id=trace_id)
            for payload, suffix in self._payloads(request, is_in_sequence=bool(parameters))
        ]

    def ask(self, payload: bytes | str, suffix: str = "", **others: Any) -> Ask:
        """One request; the size of an image is looked at."""
        if isinstance(payload, bytes):
            check_picture(payload, self._settings.max_pixels)
        return Ask(payload=payload, suffix=suffix, **others)

    def _payloads(self, request: InferRequest, *, is_in_sequence: bool) -> list[tuple[bytes | str, str]]:
        """What the pipeline gets, and what files of that end in."""
        if len(request.inputs) != 1:
            raise Refusal(f"{len(request.inputs)} inputs; there must be one, {' or '.join(INPUT_TYPES)}")
        (tensor,) = request.inputs
        if tensor.name not in INPUT_TYPES:
            raise Refusal(f"no input '{tensor.name:.80}'; there are {', '.join(INPUT_TYPES)}")
        if tensor.datatype != INPUT_TYPES[tensor.name]:
            raise Refusal(f"input '{tensor.name}' is BYTES, not '{tensor.datatype:.20}'")
        elements = self._elements(tensor, self._num_rows(tensor, is_in_sequence=is_in_sequence))
        if not all(elements):
            raise Refusal(f"input '{tensor.name}': empty")
        if tensor.name == PATH:
            return [(self._data.find(one), "") for one in elements]
        return [(one, suffix_of(one)) for one in elements]

    def _num_rows(self, tensor: Input, *, is_in_sequence: bool) -> int:
        most = 1 if is_in_sequence else self._model.max_batch_size
        shape = list(tensor.shape)
        if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
            raise Refusal(f"input '{tensor.name}': shape {shape!s:.80}; it must be [n, 1]")
        if not 1 <= shape[0] <= most:
            raise Refusal(f"input '{tensor.name}': {shape[0]} rows; there may be 1 to {most}")
        return shape[0]

    def _elements(self, tensor: Input, count: int) -> Sequence[bytes]:
        raw = tensor.raw
        if tensor.place is not None:
            raw = self._regions.read(tensor.place, most=self._settings.max_body_bytes)
        if raw is not None:
            return split(tensor.name, raw, count)
        elements = tensor.elements or ()
        if len(elements) != count:
            raise Refusal(f"input '{tensor.name}': its shape has {count} elements, its data {len(elements)}")
        return elements


def sequence_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What parameters say of a sequence; empty: the request is in none. Raises Refusal."""
    told, start, end = parameters.get(ID, 0), parameters.get(START, False), parameters.get(END, False)
    for name, value in ((START, start), (END, end)):
        if not isinstance(value, bool):
            raise Refusal(f"{name}: true or false, not {value!r:.80}")
    if isinstance(told, bool) or not isinstance(told, (int, str)):
        raise Refusal(f"{ID}: a whole number or a text, not {told!r:.80}")
    if isinstance(told, int) and not 0 <= told <= MOST_SEQUENCE:
        raise Refusal(f"{ID}: {told:.3g} is not within 0 and 2^64 - 1")
    if isinstance(told, str) and len(told) > MOST_ID_CHARACTERS:
        raise Refusal(f"{ID}: {len(told)} characters; there may be {MOST_ID_CHARACTERS}")
    if not told:
        if start or end:
            raise Refusal(f"{START} and {END} need a {ID}")
        return {}
    return {ID: told, START: start, END: end, **_position_of(parameters)}


def _position_of(parameters: Mapping[str, Any]) -> dict[str, int]:
    """How many requests of its sequence were sent before, where the client says so."""
    position = parameters.get(POSITION)
    if position is None:
        return {}
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < 2**31:
        raise Refusal(f"{POSITION}: a whole number from 0, not {position!r:.80}")
    return {POSITION: position}


def deadline_of(timeout_s: float | None, timeout_us: Any) -> int | None:
    """The earlier of the deadlines of the transport and of the parameter `timeout`. Raises Refusal."""
    seconds = [] if timeout_s is None else [timeout_s]
    if timeout_us is not None:
        if isinstance(timeout_us, bool) or not isinstance(timeout_us, int) or not 0 <= timeout_us < 2**63:
            raise Refusal(f"timeout: a whole number of microseconds, not {timeout_us!r:.80}")
        if timeout_us:
            seconds.append(timeout_us / 1e6)
    return time.monotonic_ns() + int(min(seconds) * 1e9) if seconds else None


def wanted_of(request: InferRequest, outputs: Sequence[str]) -> Sequence[Wanted]:
    """The outputs that a request asks for. Raises Refusal for those that are none."""
    if not request.outputs:
        return [Wanted(name=name, is_binary=request.wants_binary) for name in outputs]
    names = [one.name for one in request.outputs]
    for one in request.outputs:
        if one.name not in outputs:
            raise Refusal(f"no output '{one.name:.80}'; there are {', '.join(outputs)}")
        if names.count(one.name) > 1:
            raise Refusal(f"output '{one.name}' is asked for twice")
        if one.num_classes and one.name == RESULT:
            raise Refusal(f"output '{RESULT}' is no class; classification is for {', '.join(outputs[:-1])}")
    return request.outputs
