"""What every HTTP request passes: the key, the trace, the log, errors."""

from __future__ import annotations

import re

import pytest

from tests.support.serving import Served, serving

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("PUT", "/predict", 405)])
def test_what_is_not_there(served: Served, method: str, path: str, status: int) -> None:
    reply = served.ask(method, path)
    assert reply.status == status
    assert reply.error


def test_a_trace_goes_on(served: Served) -> None:
    reply = served.infer("x", headers={"traceparent": TRACEPARENT})
    version, trace_id, span_id, flags = reply.headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE_ID, "01")
    assert span_id != PARENT_ID
    assert TRACE_ID in reply.body.decode()  # the pipeline was told


@pytest.mark.parametrize(
    "header", ["nonsense", f"00-{'0' * 32}-{PARENT_ID}-01", f"ff-{TRACE_ID}-{PARENT_ID}-01"]
)
def test_a_malformed_trace_is_replaced(served: Served, header: str) -> None:
    reply = served.infer("x", headers={"traceparent": header})
    assert reply.status == 200
    assert re.fullmatch(f"00-(?!{TRACE_ID})[0-9a-f]{{32}}-[0-9a-f]{{16}}-00", reply.headers["traceparent"])


def test_without_the_key_nothing_but_health_is_told() -> None:
    with serving(api_key="sesame") as server:
        assert server.ask("GET", "/v2/health/ready").status == 200
        for path in ("/v2", "/metrics", "/docs", "/v2/models/scripted/stats"):
            assert server.ask("GET", path).status == 401
        for told in ("Bearer wrong", "Bearer ", "sesam\xe9"):
            reply = server.infer("x", headers={"Authorization": told})
            assert (reply.status, "API key" in reply.error) == (401, True)
        assert server.infer("x", headers={"Authorization": "Bearer sesame"}).status == 200


def test_a_line_for_each_request() -> None:
    with serving(request_log="-") as server:
        server.infer("x", "y", id="one", headers={"traceparent": TRACEPARENT})
        server.infer("busy")
        server.ask("GET", "/v2/health/ready")
        server.ask("GET", "/metrics")
        first, second = server.lines()
    assert first["trace_id"] == TRACE_ID
    assert first["parent_id"] == PARENT_ID
    assert (first["protocol"], first["id"], first["rows"], first["status"]) == ("http", "one", 2, 200)
    assert first["duration_ms"] > 0
    assert (second["status"], second["reason"]) == (503, "it was asked for: busy")
