"""POST /predict: the bytes of an image or a video in, the pipeline's result as JSON out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rnb.contract.sequence import END, ID, START
from rnb.serving.front import Front
from rnb.serving.inference import deadline_of, sequence_of
from rnb.serving.media import check_type, suffix_of, types_of
from rnb.serving.over_http.body import Bodies
from rnb.serving.over_http.leaving import unless_gone
from rnb.serving.over_http.v2 import timeout_of
from rnb.serving.refusal import Refusal
from rnb.serving.request_log import Note
from rnb.serving.results import json_of

_TRUTH = {"true": True, "false": False}


class Predict:
    """The route."""

    def __init__(self, front: Front, bodies: Bodies) -> None:
        self._front, self._bodies = front, bodies
        self._types = types_of(front.interface.extensions)

    async def answer(self, request: Request) -> Response:
        front, note = self._front, request.state.note
        assert isinstance(note, Note)
        check_type(request.headers.get("content-type", ""), self._types)
        body = await self._bodies.read(request, front.settings.max_body_bytes)
        suffix = suffix_of(body)
        if suffix not in self._types.values():
            raise Refusal(f"the body is none of {', '.join(self._types)}")
        parameters = sequence_of(_parameters(request.query_params))
        if front.model.is_stateful and not parameters:
            raise Refusal(f"this pipeline keeps a state for each sequence: say ?{ID}=…&{START}=true")
        ask = front.reader.ask(
            body,
            suffix,
            parameters=parameters,
            deadline_ns=deadline_of(timeout_of(request), None),
            trace_id=note.trace.trace_id,
        )
        (answer,) = await unless_gone(request, front.answers([ask], note))
        return Response(json_of(answer), media_type="application/json")


def _parameters(query: Mapping[str, str]) -> dict[str, Any]:
    """What the query says of a sequence, with the types that it has in a request of the protocol."""
    flags = {name: _TRUTH.get(query[name], query[name]) for name in (START, END) if name in query}
    return {**flags, **({ID: query[ID]} if ID in query else {})}
