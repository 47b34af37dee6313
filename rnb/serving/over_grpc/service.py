"""inference.GRPCInferenceService, the Open Inference Protocol's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import json_format
from tritonclient.grpc import service_pb2 as pb

from rnb.serving.cuda_memory import CudaRegion
from rnb.serving.front import Front
from rnb.serving.over_grpc.calls import Calls, Malformed, refusal_of_any
from rnb.serving.over_grpc.messages import request_of, response_of
from rnb.serving.refusal import Refusal
from rnb.serving.request_log import Note
from rnb.serving.shared_memory import Region, SystemRegion
from rnb.serving.trace_context import Trace

NAME = "inference.GRPCInferenceService"
MOST_IN_STREAM = 256
"""Requests of one stream that are under way at once."""
FINAL = "triton_final_response"
Context = Any
"""grpc.aio.ServicerContext"""


def handler_of(front: Front) -> grpc.GenericRpcHandler:
    """All methods; those of the service that are not here are UNIMPLEMENTED."""
    service, calls = _Service(front), Calls(front)
    unary = {
        "ServerLive": service.live,
        "ServerReady": service.ready,
        "ModelReady": service.model_ready,
        "ServerMetadata": service.server,
        "ModelMetadata": service.metadata,
        "ModelConfig": service.config,
        "ModelStatistics": service.statistics,
        "RepositoryIndex": service.index,
        "ModelInfer": service.infer,
        "SystemSharedMemoryStatus": service.system_status,
        "SystemSharedMemoryRegister": service.register_system,
        "SystemSharedMemoryUnregister": service.unregister_system,
        "CudaSharedMemoryStatus": service.cuda_status,
        "CudaSharedMemoryRegister": service.register_cuda,
        "CudaSharedMemoryUnregister": service.unregister_cuda,
    }
    handlers = {
        name: calls.unary(name, call, getattr(pb, f"{name}Request"), getattr(pb, f"{name}Response"))
        for name, call in unary.items()
    }
    handlers["ModelStreamInfer"] = calls.stream(
        "ModelStreamInfer", service.infer_stream, pb.ModelInferRequest, pb.ModelStreamInferResponse
    )
    return grpc.method_handlers_generic_handler(NAME, handlers)


class _Service:
    """What the methods do."""

    def __init__(self, front: Front) -> None:
        self._front, self._model, self._regions = front, front.model, front.regions

    async def live(self, message: Any, context: Context, note: Note) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ready(self, message: Any, context: Context, note: Note) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._front.pipeline.is_ready)

    async def model_ready(self, message: Any, context: Context, note: Note) -> pb.ModelReadyResponse:
        self._model.check(message.name, message.version)
        return pb.ModelReadyResponse(ready=self._front.pipeline.is_ready)

    async def server(self, message: Any, context: Context, note: Note) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(**self._model.server())

    async def metadata(self, message: Any, context: Context, note: Note) -> pb.ModelMetadataResponse:
        return pb.ModelMetadataResponse(**self._model.metadata(message.name, message.version))

    async def config(self, message: Any, context: Context, note: Note) -> pb.ModelConfigResponse:
        told = {"config": self._model.config(message.name, message.version)}
        return json_format.ParseDict(told, pb.ModelConfigResponse())

    async def statistics(self, message: Any, context: Context, note: Note) -> pb.ModelStatisticsResponse:
        told = self._model.statistics(message.name, message.version)
        return json_format.ParseDict(told, pb.ModelStatisticsResponse())

    async def index(self, message: Any, context: Context, note: Note) -> pb.RepositoryIndexResponse:
        return pb.RepositoryIndexResponse(models=self._model.index(only_ready=message.ready))

    async def infer(self, message: Any, context: Context, note: Note) -> pb.ModelInferResponse:
        return await self._infer(message, note, context.time_remaining())

    async def _infer(self, message: Any, note: Note, timeout_s: float | None) -> pb.ModelInferResponse:
        request = request_of(message)
        return response_of(request, await self._front.infer(request, note, timeout_s), self._model)

    async def infer_stream(
        self, messages: AsyncIterator[Any], context: Context, note: Note
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Requests are served at the same time, and answered in the order in which they came."""
        asked: asyncio.Queue[asyncio.Task[pb.ModelStreamInferResponse] | None]
        asked = asyncio.Queue(MOST_IN_STREAM)

        async def take() -> None:
            async for message in messages:
                serving = asyncio.create_task(
                    self._answer_in_stream(message, note.trace, context.time_remaining())
                )
                under_way.add(serving)
                serving.add_done_callback(under_way.discard)
                await asked.put(serving)
            await asked.put(None)

        under_way: set[asyncio.Task[Any]] = set()
        taking = asyncio.create_task(take())
        try:
            while (serving := await asked.get()) is not None:
                yield await serving
        finally:
            taking.cancel()
            for one in list(under_way):
                one.cancel()

    async def _answer_in_stream(
        self, message: Any, trace: Trace, timeout_s: float | None
    ) -> pb.ModelStreamInferResponse:
        """An error is in the response, and the stream goes on."""
        note = Note(protocol="grpc", what="ModelStreamInfer request", trace=trace.child())
        try:
            if isinstance(message, Malformed):
                raise Refusal("the message cannot be parsed")
            response = await self._infer(message, note, timeout_s)
            response.parameters[FINAL].bool_param = True
            return pb.ModelStreamInferResponse(infer_response=response)
        except Exception as error:
            refusal = refusal_of_any(error)
            note.status, note.reason = refusal.kind.grpc, str(refusal)
            told = pb.ModelStreamInferResponse(error_message=str(refusal))
            told.infer_response.id = note.request_id
            return told
        finally:
            self._front.end(note)

    async def register_system(
        self, message: Any, context: Context, note: Note
    ) -> pb.SystemSharedMemoryRegisterResponse:
        self._regions.register_system(
            message.name, key=message.key, offset=message.offset, num_bytes=message.byte_size
        )
        return pb.SystemSharedMemoryRegisterResponse()

    async def register_cuda(
        self, message: Any, context: Context, note: Note
    ) -> pb.CudaSharedMemoryRegisterResponse:
        self._regions.register_cuda(
            message.name, handle=message.raw_handle, device=message.device_id, num_bytes=message.byte_size
        )
        return pb.CudaSharedMemoryRegisterResponse()

    async def unregister_system(
        self, message: Any, context: Context, note: Note
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        self._regions.unregister(message.name, SystemRegion)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def unregister_cuda(
        self, message: Any, context: Context, note: Note
    ) -> pb.CudaSharedMemoryUnregisterResponse:
        self._regions.unregister(message.name, CudaRegion)
        return pb.CudaSharedMemoryUnregisterResponse()

    async def system_status(
        self, message: Any, context: Context, note: Note
    ) -> pb.SystemSharedMemoryStatusResponse:
        return pb.SystemSharedMemoryStatusResponse(regions=self._status(message.name, SystemRegion))

    async def cuda_status(
        self, message: Any, context: Context, note: Note
    ) -> pb.CudaSharedMemoryStatusResponse:
        return pb.CudaSharedMemoryStatusResponse(regions=self._status(message.name, CudaRegion))

    def _status(self, name: str, kind: type[Region]) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self._regions.status(name, kind)}
