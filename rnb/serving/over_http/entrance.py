"""What every HTTP request passes: its trace, the key, the log, and errors as JSON."""

from __future__ import annotations

import asyncio
import json
import traceback

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rnb.live.asking import Why
from rnb.serving.front import Front
from rnb.serving.over_http.body import Bodies
from rnb.serving.refusal import BROKEN, OF_WHY, Kind, Refusal
from rnb.serving.request_log import Note
from rnb.serving.trace_context import HEADER, trace_of
from rnb.show import console

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")
"""They need no key: probes have none."""
UNLOGGED_PATHS = (*OPEN_PATHS, "/metrics")
"""Asked for every few seconds."""


class Entrance:
    """An ASGI application around another one, which finds its Note in the scope's state."""

    def __init__(self, app: ASGIApp, front: Front, bodies: Bodies) -> None:
        self._app, self._front, self._bodies = app, front, bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers, path = Headers(scope=scope), scope["path"]
        note = Note(
            protocol="http", what=f"{scope['method']} {path}", trace=trace_of(headers.get(HEADER)), status=0
        )
        scope["state"] = {"note": note}
        scope["app"] = self  # so that Starlette raises what it does not find
        answering = _Answering(note, send)
        try:
            if path not in OPEN_PATHS:
                self._front.check_key(headers.get("authorization", ""))
            await self._app(scope, receive, answering)
        except Exception as error:
            await answering.fail(error, scope, receive)
        except asyncio.CancelledError:  # the server is closed while the request is still being sent
            closed = Refusal("the server is ending", OF_WHY[Why.CLOSED])
            await answering.fail(closed, scope, receive)
        finally:
            self._bodies.let_go(note)
            note.status = note.status or OF_WHY[Why.CANCELLED].http
            if path not in UNLOGGED_PATHS:
                self._front.end(note)


class _Answering:
    """The `send` of a request: notes the status, and adds the trace."""

    def __init__(self, note: Note, send: Send) -> None:
        self._note, self._send = note, send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._note.status = message["status"]
            MutableHeaders(scope=message)[HEADER] = self._note.trace.header
        await self._send(message)

    async def fail(self, error: Exception, scope: Scope, receive: Receive) -> None:
        """Answer with what went wrong, unless an answer is under way or nobody is there."""
        if isinstance(error, ClientDisconnect):
            self._note.reason = "the client went away"
            return
        kind, reason = _kind_of(error)
        self._note.reason = reason
        if not self._note.status:
            await error_response(kind, reason)(scope, receive, self)


def _kind_of(error: Exception) -> tuple[Kind, str]:
    if isinstance(error, Refusal):
        return error.kind, str(error)
    if isinstance(error, HTTPException):
        return Kind(error.status_code, ""), error.detail
    console.warn("".join(traceback.format_exception(error)))
    return BROKEN, "internal error"


def error_response(kind: Kind, reason: str) -> Response:
    """{"error": reason}"""
    headers = {} if kind.retry_after_s is None else {"Retry-After": str(kind.retry_after_s)}
    text = json.dumps({"error": reason})
    return Response(text, kind.http, headers, media_type="application/json")
