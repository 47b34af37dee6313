"""The description of the HTTP side. Source: "OpenAPI Specification", version 3.1."""

from __future__ import annotations

from typing import Any

from rnb.serving.front import Front
from rnb.serving.media import types_of
from rnb.serving.model import SERVER_VERSION
from rnb.serving.over_http.v2 import TIMEOUT

_REASONS = {
    400: "the request is wrong, or its image or video cannot be decoded",
    401: "the API key is missing",
    404: "no such model or path",
    408: "the request took too long to arrive",
    413: "the body is too large, or the image has too many pixels",
    415: "the pipeline does not take this media type",
    500: "the replica that had it failed",
    503: "too many requests wait already, or the server is ending; see Retry-After",
    504: "the deadline passed",
}


def describe(front: Front) -> dict[str, Any]:
    """As JSON knows it."""
    name = front.model.name
    description: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"RnB: {name}",
            "version": SERVER_VERSION,
            "description": 'A pipeline that serves. Every error is {"error": reason}.',
        },
        "paths": {
            "/predict": {"post": _predict(front)},
            f"/v2/models/{name}/infer": {"post": _infer()},
            "/v2/health/live": {"get": _get("Whether the server runs")},
            "/v2/health/ready": {"get": _get("Whether every step has a replica that can serve")},
            "/v2": {"get": _get("The server and its extensions")},
            f"/v2/models/{name}": {"get": _get("Inputs and outputs")},
            f"/v2/models/{name}/config": {"get": _get("The pipeline as an ensemble; each step is a model")},
            f"/v2/models/{name}/stats": {"get": _get("Counts and durations since the start")},
            "/v2/models/stats": {"get": _get("The same of the pipeline and of each step")},
            "/v2/repository/index": {"post": _get("All models, and their state")},
            "/metrics": {"get": _get("Counters, gauges and histograms for Prometheus", "text/plain")},
        },
        "components": {"schemas": {"Error": _object({"error": {"type": "string"}})}},
    }
    if front.settings.api_key is not None:
        description["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        description["security"] = [{"key": []}]
    return description


def _predict(front: Front) -> dict[str, Any]:
    types = types_of(front.interface.extensions)
    binary = {"schema": {"type": "string", "format": "binary"}}
    names = ("sequence_id", "sequence_start", "sequence_end") if front.model.is_stateful else ()
    return {
        "summary": "The result for an image or a video",
        "parameters": [
            {"name": TIMEOUT, "in": "header", "schema": {"type": "number", "exclusiveMinimum": 0}},
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in names),
        ],
        "requestBody": {"required": True, "content": dict.fromkeys(types, binary)},
        "responses": _responses({"application/json": {"schema": _result(front)}}, *_REASONS),
    }


def _result(front: Front) -> dict[str, Any]:
    if not front.interface.gives_classes:
        return {"description": "what the pipeline's last step gives"}
    kinds = {"label": "integer", "class": "string", "score": "number"}
    return _object({name: {"type": [kind, "null"]} for name, kind in kinds.items()})


def _infer() -> dict[str, Any]:
    return {
        "summary": "Inference by the Open Inference Protocol v2, binary tensors too",
        "requestBody": {
            "required": True,
            "content": {"application/json": {}, "application/octet-stream": {}},
        },
        "responses": _responses({"application/json": {}, "application/octet-stream": {}}, *_REASONS),
    }


def _get(summary: str, media_type: str = "application/json") -> dict[str, Any]:
    return {"summary": summary, "responses": _responses({media_type: {}}, 400, 401)}


def _responses(content: dict[str, Any], *refusals: int) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "done", "content": content},
        **{str(status): {"description": _REASONS[status], "content": error} for status in refusals},
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
