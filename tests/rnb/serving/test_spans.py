"""Spans: what a collector of OpenTelemetry gets of each request."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rnb.contract.termination import UsageError
from rnb.serving.spans import check_collector
from tests.support.serving import serving

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NUM_SPANS = 5
"""Of a request of two steps: its own, and each step with the wait for it."""


class Collector:
    """Takes spans."""

    def __init__(self) -> None:
        self.spans: queue.Queue[Any] = queue.Queue()
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                told = ExportTraceServiceRequest.FromString(body)
                for resource in told.resource_spans:
                    for scope in resource.scope_spans:
                        for span in scope.spans:
                            spans.put(span)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def take(self, count: int) -> list[Any]:
        return [self.spans.get(timeout=30) for _ in range(count)]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


def test_a_request_and_its_steps_belong_to_the_clients_trace(collector: Collector) -> None:
    with serving(otlp=collector.url) as server:
        told = server.infer("x", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        spans = {span.name: span for span in collector.take(NUM_SPANS)}
    whole = spans.pop("POST /v2/models/scripted/infer")
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, PARENT)
    assert told.headers["traceparent"].split("-")[1:3] == [TRACE, whole.span_id.hex()]
    assert set(spans) == {"wait for Decode-0", "Decode-0", "wait for Net-1", "Net-1"}
    for span in spans.values():
        assert (span.trace_id, span.parent_span_id) == (whole.trace_id, whole.span_id)
        assert whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano


def test_a_request_without_a_trace_begins_one_and_a_failed_one_says_why(collector: Collector) -> None:
    with serving(otlp=collector.url) as server:
        told = server.infer("bad")
        (span,) = collector.take(1)
    assert told.headers["traceparent"].split("-")[1:3] == [span.trace_id.hex(), span.span_id.hex()]
    assert (span.parent_span_id, span.status.message) == (b"", "it was asked for: bad")


def test_without_a_collector_serving_goes_on() -> None:
    with serving(otlp="http://127.0.0.1:9/v1/traces") as server:
        assert [server.infer("x").status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("url", ["localhost:4318", "ftp://a/b", "http://"])
def test_what_is_no_url_is_one_line(url: str) -> None:
    with pytest.raises(UsageError, match=f"^--otlp {url}: no URL"):
        check_collector(url)
