"""Requests and answers of the protocol's gRPC, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import service_pb2

from rnb.contract.request import Request
from rnb.remote.inputs import Input
from rnb.remote.payloads import Payloads
from rnb.remote.results import chosen, elements


class GrpcRequests:
    """Makes requests. Joined, serialized messages are one message with the fields of all."""

    def __init__(self, *, model: str, inputs: Sequence[Input], payloads: Payloads) -> None:
        tensor = service_pb2.ModelInferRequest.InferInputTensor
        asked = [tensor(name=one.name, datatype=one.datatype, shape=one.shape) for one in inputs]
        self._payloads = payloads
        self._begin = service_pb2.ModelInferRequest(model_name=model, inputs=asked).SerializeToString()
        numbers = () if payloads.depends_on_file else range(payloads.num_variants)
        self._made = {number: self._message(number, "") for number in numbers}

    def _message(self, number: int, path: str) -> bytes:
        contents = self._payloads.of(number, path)
        raw: bytes = service_pb2.ModelInferRequest(raw_input_contents=contents).SerializeToString()
        return bytes(self._begin + raw)

    def make(self, request: Request) -> bytes:
        message = self._made.get(request.id % self._payloads.num_variants)
        own = service_pb2.ModelInferRequest(id=str(request.id))
        for name, value in (request.parameters or {}).items():
            kind = "bool_param" if isinstance(value, bool) else "int64_param"
            setattr(own.parameters[name], kind, value)
        whole: bytes = (message or self._message(request.id, request.payload)) + own.SerializeToString()
        return whole


def result_of_grpc(answer: bytes) -> list[Any]:
    """Raises ValueError for what is no answer of the protocol."""
    try:
        told = service_pb2.ModelInferResponse.FromString(answer)
    except Exception as error:  # protobuf's DecodeError is another class in each of its implementations
        raise ValueError(f"not the protocol's: {error}") from None
    wanted = chosen([one.name for one in told.outputs])
    output = told.outputs[wanted]
    if told.raw_output_contents:
        return elements(output.datatype, told.raw_output_contents[wanted])
    contents = [list(values) for _, values in output.contents.ListFields()]
    return [
        one.decode(errors="backslashreplace") if isinstance(one, bytes) else one
        for values in contents
        for one in values
    ]
