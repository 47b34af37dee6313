"""The routes of the Open Inference Protocol v2."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rnb.serving.cuda_memory import CudaRegion
from rnb.serving.front import Front
from rnb.serving.over_http.body import Bodies
from rnb.serving.over_http.infer_body import HEADER_LENGTH, parse, parse_object, render
from rnb.serving.over_http.leaving import unless_gone
from rnb.serving.refusal import Refusal
from rnb.serving.shared_memory import Region, SystemRegion

TIMEOUT = "X-Request-Timeout-Ms"
MOST_SMALL_BODY = 1 << 20
"""Of what is no inference."""


_Endpoint = Callable[[Request], Awaitable[Response]]


def routes_of(front: Front, bodies: Bodies) -> list[BaseRoute]:
    served = _Served(front, bodies)
    model = "/v2/models/{model}"
    gets: dict[str, _Endpoint] = {
        "/v2": served.server,
        "/v2/health/live": served.live,
        "/v2/health/ready": served.ready,
        "/v2/models/stats": served.statistics,
        **{
            f"{start}{end}": function
            for start in (model, f"{model}/versions/{{version}}")
            for end, function in {
                "": served.metadata,
                "/ready": served.model_ready,
                "/config": served.config,
                "/stats": served.statistics,
            }.items()
        },
    }
    posts: dict[str, _Endpoint] = {
        f"{model}/infer": served.infer,
        f"{model}/versions/{{version}}/infer": served.infer,
        "/v2/repository/index": served.index,
    }
    kinds: dict[str, tuple[type[Region], _Endpoint]] = {
        "system": (SystemRegion, served.register_system),
        "cuda": (CudaRegion, served.register_cuda),
    }
    for name, (kind, register) in kinds.items():
        start = f"/v2/{name}sharedmemory"
        gets[f"{start}/status"] = gets[f"{start}/region/{{region}}/status"] = served.region_status(kind)
        posts[f"{start}/unregister"] = served.unregister(kind)
        posts[f"{start}/region/{{region}}/unregister"] = served.unregister(kind)
        posts[f"{start}/region/{{region}}/register"] = register
    return [
        *(Route(path, function, methods=["POST"]) for path, function in posts.items()),
        *(Route(path, function, methods=["GET"]) for path, function in gets.items()),
    ]


def json_response(told: Any, status: int = 200) -> Response:
    return Response(json.dumps(told, separators=(",", ":")), status, media_type="application/json")


def timeout_of(request: Request) -> float | None:
    """Seconds. Raises Refusal."""
    text = request.headers.get(TIMEOUT)
    if text is None:
        return None
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = math.nan
    if not 0 < milliseconds <= 1e12:
        raise Refusal(f"{TIMEOUT}: '{text:.40}' is no number of milliseconds")
    return milliseconds / 1000


class _Served:
    """What the routes do."""

    def __init__(self, front: Front, bodies: Bodies) -> None:
        self._bodies = bodies
        self._front, self._model, self._regions = front, front.model, front.regions

    async def live(self, request: Request) -> Response:
        return Response()

    async def ready(self, request: Request) -> Response:
        return Response(status_code=200 if self._front.pipeline.is_ready else 400)

    async def model_ready(self, request: Request) -> Response:
        self._model.check(*_named(request))
        return await self.ready(request)

    async def server(self, request: Request) -> Response:
        return json_response(self._model.server())

    async def metadata(self, request: Request) -> Response:
        return json_response(self._model.metadata(*_named(request)))

    async def config(self, request: Request) -> Response:
        return json_response(self._model.config(*_named(request)))

    async def statistics(self, request: Request) -> Response:
        return json_response(self._model.statistics(*_named(request)))

    async def index(self, request: Request) -> Response:
        told = await self._told(request)
        return json_response(self._model.index(only_ready=told.get("ready") is True))

    async def infer(self, request: Request) -> Response:
        front = self._front
        body = await self._bodies.read(request, front.settings.max_body_bytes)
        model, version = _named(request)
        asked = parse(body, request.headers.get(HEADER_LENGTH), model=model, version=version)
        inferring = front.infer(asked, request.state.note, timeout_of(request))
        outputs = await unless_gone(request, inferring)
        content, num_json = render(asked, outputs, self._model)
        if num_json is None:
            return Response(content, media_type="application/json")
        headers = {HEADER_LENGTH: str(num_json)}
        return Response(content, headers=headers, media_type="application/octet-stream")

    async def register_system(self, request: Request) -> Response:
        told = await self._told(request)
        self._regions.register_system(
            request.path_params["region"],
            key=_member(told, "key", str),
            offset=_member(told, "offset", int, 0),
            num_bytes=_member(told, "byte_size", int),
        )
        return Response()

    async def register_cuda(self, request: Request) -> Response:
        told = await self._told(request)
        try:
            handle = base64.b64decode(_member(_member(told, "raw_handle", dict), "b64", str), validate=True)
        except binascii.Error:
            raise Refusal("raw_handle: no base64") from None
        self._regions.register_cuda(
            request.path_params["region"],
            handle=handle,
            device=_member(told, "device_id", int, 0),
            num_bytes=_member(told, "byte_size", int),
        )
        return Response()

    async def _told(self, request: Request) -> dict[str, Any]:
        """The JSON object of a small request; nothing is an empty one."""
        body = await self._bodies.read(request, MOST_SMALL_BODY)
        return parse_object(body) if body else {}

    def region_status(self, kind: type[Region]) -> _Endpoint:
        async def status(request: Request) -> Response:
            return json_response(self._regions.status(request.path_params.get("region", ""), kind))

        return status

    def unregister(self, kind: type[Region]) -> _Endpoint:
        async def unregister(request: Request) -> Response:
            self._regions.unregister(request.path_params.get("region", ""), kind)
            return Response()

        return unregister


def _named(request: Request) -> tuple[str, str]:
    """The model and the version that the path names, '' where it does not."""
    return request.path_params.get("model", ""), request.path_params.get("version", "")


def _member(told: dict[str, Any], name: str, kind: type[Any], default: Any = None) -> Any:
    value = told.get(name, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Refusal(f"'{name}' must be of type {kind.__name__}, and is {json.dumps(value):.80}")
    return value
