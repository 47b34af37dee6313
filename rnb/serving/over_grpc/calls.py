"""What every call passes: the message's form, its trace, the key, the log, and errors as status codes."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from rnb.live.asking import Why
from rnb.serving.front import Front
from rnb.serving.refusal import BROKEN, OF_WHY, Refusal
from rnb.serving.request_log import Note
from rnb.serving.trace_context import HEADER, trace_of
from rnb.show import console

KEY_HEADERS = ("authorization", "triton-access-token")
OPEN_CALLS = ("ServerLive", "ServerReady")
"""They need no key, and are not logged: probes have none, and come every few seconds."""
Call = Callable[[Any, grpc.aio.ServicerContext, Note], Awaitable[Any]]
StreamCall = Callable[[AsyncIterator[Any], grpc.aio.ServicerContext, Note], AsyncIterator[Any]]


class Malformed:
    """In the place of a message that cannot be parsed."""


def reader_of(message_type: Any) -> Callable[[bytes], Any]:
    """Parses a message, and leaves it to the call to say what is wrong with it."""

    def parse(data: bytes) -> Any:
        try:
            return message_type.FromString(data)
        except Exception:  # protobuf's implementations have different ones
            return Malformed()

    return parse


class Calls:
    """Makes handlers of a service's methods."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def unary(self, name: str, call: Call, request_type: Any, response_type: Any) -> grpc.RpcMethodHandler:
        async def handle(message: Any, context: grpc.aio.ServicerContext) -> Any:
            async with self._answering(name, context) as note:
                if isinstance(message, Malformed):
                    raise Refusal("the message cannot be parsed")
                return await call(message, context, note)

        return grpc.unary_unary_rpc_method_handler(
            handle, reader_of(request_type), response_type.SerializeToString
        )

    def stream(
        self, name: str, call: StreamCall, request_type: Any, response_type: Any
    ) -> grpc.RpcMethodHandler:
        async def handle(
            messages: AsyncIterator[Any], context: grpc.aio.ServicerContext
        ) -> AsyncIterator[Any]:
            async with self._answering(name, context) as note:
                async for response in call(messages, context, note):
                    yield response

        return grpc.stream_stream_rpc_method_handler(
            handle, reader_of(request_type), response_type.SerializeToString
        )

    @contextlib.asynccontextmanager
    async def _answering(self, name: str, context: grpc.aio.ServicerContext) -> AsyncIterator[Note]:
        """Around a call: its note, the key, and its errors as status codes."""
        note = self._begin(name, context)
        try:
            self._check(name, context)
            yield note
        except Exception as error:
            await _abort(context, note, error)
        except BaseException:
            note.status = OF_WHY[Why.CANCELLED].grpc
            raise
        finally:
            self._end(name, note)

    def _begin(self, name: str, context: grpc.aio.ServicerContext) -> Note:
        told = _metadata(context, HEADER)
        trace = trace_of(told)
        if told is not None:  # others need not read what they do not look for
            context.set_trailing_metadata(((HEADER, trace.header),))
        return Note(protocol="grpc", what=name, trace=trace)

    def _check(self, name: str, context: grpc.aio.ServicerContext) -> None:
        if self._front.settings.api_key is not None and name not in OPEN_CALLS:
            told = (value for header in KEY_HEADERS if (value := _metadata(context, header)))
            self._front.check_key(next(told, ""))

    def _end(self, name: str, note: Note) -> None:
        if name not in OPEN_CALLS:
            self._front.end(note)


def refusal_of_any(error: Exception) -> Refusal:
    """What the client is told of an error; one that nobody foresaw is printed here."""
    if isinstance(error, Refusal):
        return error
    console.warn("".join(traceback.format_exception(error)))
    return Refusal("internal error", BROKEN)


async def _abort(context: grpc.aio.ServicerContext, note: Note, error: Exception) -> None:
    refusal = refusal_of_any(error)
    note.status, note.reason = refusal.kind.grpc, str(refusal)
    metadata = [(HEADER, note.trace.header)]
    if refusal.kind.retry_after_s is not None:
        metadata.append(("retry-after", str(refusal.kind.retry_after_s)))
    await context.abort(getattr(grpc.StatusCode, refusal.kind.grpc), str(refusal), tuple(metadata))


def _metadata(context: grpc.aio.ServicerContext, name: str) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return value if isinstance(value, str) else None
    return None
