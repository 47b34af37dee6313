"""Requests over gRPC: all of a client process share a connection. Messages are put together as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from rnb.contract.request import Request
from rnb.remote.address import Address
from rnb.remote.datatypes import unpack
from rnb.remote.grpc_errors import is_unreachable, one_line
from rnb.remote.inputs import Input
from rnb.remote.outbox import Outbox
from rnb.remote.payloads import Payloads
from rnb.remote.results import chosen

METHOD = "/inference.GRPCInferenceService/ModelInfer"
OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.initial_reconnect_backoff_ms", 100),
)


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


class GrpcTransport:
    """See Transport."""

    def __init__(
        self,
        outbox: Outbox,
        requests: GrpcRequests,
        *,
        address: Address,
        timeout_ms: float,
        keep_results: bool,
    ) -> None:
        self._outbox, self._requests = outbox, requests
        self._timeout_ms, self._keep_results = timeout_ms, keep_results
        self._channel = grpc.aio.insecure_channel(address.netloc, options=OPTIONS)
        self._infer: Any = self._channel.unary_unary(METHOD)
        self._tasks: set[asyncio.Task[None]] = set()

    def transmit(self, request: Request) -> None:
        task = asyncio.ensure_future(self._ask(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, request: Request) -> None:
        try:
            answer = await self._infer(self._requests.make(request), timeout=self._timeout_ms / 1e3)
        except grpc.aio.AioRpcError as error:
            self._fail(request, error.code(), one_line(error.details()))
            return
        kept = self._keep_results
        self._outbox.finish(request, (lambda: result_of_grpc(answer)) if kept else None)

    def _fail(self, request: Request, code: grpc.StatusCode, details: str) -> None:
        if is_unreachable(code, details):
            self._outbox.lose(request, f"no connection: {details}")
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._outbox.fail(request, f"no answer within {self._timeout_ms:g} ms (--timeout)")
        else:
            is_refused = code is grpc.StatusCode.UNAVAILABLE
            self._outbox.fail(request, f"{code.name}: {details}", is_refused=is_refused)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


def result_of_grpc(answer: bytes) -> list[Any]:
    """Raises ValueError for what is no answer of the protocol."""
    try:
        told = service_pb2.ModelInferResponse.FromString(answer)
    except Exception as error:  # protobuf's DecodeError is another class in each of its implementations
        raise ValueError(f"not the protocol's: {error}") from None
    wanted = chosen([one.name for one in told.outputs])
    output = told.outputs[wanted]
    if told.raw_output_contents:
        return unpack(output.datatype, told.raw_output_contents[wanted])
    contents = [list(values) for _, values in output.contents.ListFields()]
    return [
        one.decode(errors="backslashreplace") if isinstance(one, bytes) else one
        for values in contents
        for one in values
    ]
