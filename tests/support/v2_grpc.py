"""The gRPC side of tests/support/v2_server.py."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from tests.support.v2_models import Drop, Problem, Tiny

CODES = {404: "NOT_FOUND", 500: "INTERNAL", 503: "UNAVAILABLE"}


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self, tiny: Tiny) -> None:
        self._tiny = tiny

    async def ServerMetadata(self, asked: Any, context: Any) -> Any:
        return ParseDict(self._tiny.about(), pb.ServerMetadataResponse())

    async def ModelMetadata(self, asked: Any, context: Any) -> Any:
        return ParseDict(await _or_abort(self._tiny.metadata, asked, context), pb.ModelMetadataResponse())

    async def ModelConfig(self, asked: Any, context: Any) -> Any:
        told = await _or_abort(self._tiny.config, asked, context)
        return ParseDict({"config": told}, pb.ModelConfigResponse())

    async def ModelStatistics(self, asked: Any, context: Any) -> Any:
        return ParseDict(await _or_abort(self._tiny.statistics, asked, context), pb.ModelStatisticsResponse())

    async def ModelInfer(self, asked: Any, context: Any) -> Any:
        parameters = {
            name: getattr(value, value.WhichOneof("parameter_choice"))
            for name, value in asked.parameters.items()
        }
        told = {"id": asked.id, "parameters": parameters}
        try:
            outputs = await self._tiny.infer(asked.model_name, told, list(asked.raw_input_contents))
        except Problem as problem:
            await context.abort(grpc.StatusCode[CODES[problem.status]], problem.text)
        except Drop:
            await context.abort(grpc.StatusCode.ABORTED, "dropped")
        answer = pb.ModelInferResponse(model_name=asked.model_name, id=asked.id)
        for spec, data in outputs:
            answer.outputs.add(name=spec["name"], datatype=spec["datatype"], shape=[1, 1])
            answer.raw_output_contents.append(data)
        return answer


async def _or_abort(question: Any, asked: Any, context: Any) -> Any:
    try:
        return question(asked.name)
    except Problem as problem:
        await context.abort(grpc.StatusCode[CODES[problem.status]], problem.text)


async def start_grpc(tiny: Tiny) -> tuple[Any, int]:
    """The server and its port."""
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(tiny), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port
