"""A pipeline behind its ports, from when they listen until the last request has its answer."""

from __future__ import annotations

from rnb.live.asking import LivePipeline
from rnb.serving.front import Front
from rnb.serving.model import Interface
from rnb.serving.over_grpc.server import GrpcServer
from rnb.serving.over_http.server import HttpServer
from rnb.serving.request_log import RequestLog
from rnb.serving.settings import Settings


class Server:
    """Both protocols. Its methods are called in the pipeline's event loop."""

    def __init__(
        self, pipeline: LivePipeline, interface: Interface, settings: Settings, log: RequestLog
    ) -> None:
        self._pipeline, self._settings = pipeline, settings
        self._front = Front(pipeline, interface, settings, log)
        self._http, self._grpc = HttpServer(self._front), GrpcServer(self._front)

    async def start(self) -> tuple[int, int]:
        """Listen; returns the ports of HTTP and gRPC. Raises UsageError."""
        grpc_port = await self._grpc.start()
        try:
            return await self._http.start(), grpc_port
        except BaseException:
            await self._grpc.stop()
            raise

    async def drain(self) -> bool:
        """Say that it is not ready, answer what was taken, and close; whether the grace was enough."""
        in_time = await self._pipeline.drain(self._settings.grace)
        await self._http.stop()
        await self._grpc.stop()
        self._front.close()
        return in_time
