"""The HTTP side as an ASGI application."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from rnb.serving.exposition import CONTENT_TYPE
from rnb.serving.front import Front
from rnb.serving.metrics import machine_text
from rnb.serving.over_http import docs_page, openapi
from rnb.serving.over_http.body import Bodies
from rnb.serving.over_http.entrance import Entrance
from rnb.serving.over_http.predict import Predict
from rnb.serving.over_http.v2 import json_response, routes_of


def app_of(front: Front) -> ASGIApp:
    bodies = Bodies(front.settings.max_bodies_bytes)
    description = openapi.describe(front)
    page = docs_page.render(description)

    async def describe(request: Request) -> Response:
        return json_response(description)

    async def show(request: Request) -> Response:
        return HTMLResponse(page)

    async def metrics(request: Request) -> Response:
        text = front.metrics.text() + await asyncio.to_thread(machine_text)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    routes = [
        *routes_of(front, bodies),
        Route("/predict", Predict(front, bodies).answer, methods=["POST"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/openapi.json", describe, methods=["GET"]),
        Route("/docs", show, methods=["GET"]),
    ]
    return Entrance(Router(routes), front, bodies)
