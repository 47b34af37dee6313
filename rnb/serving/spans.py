"""Each request as a span of OpenTelemetry with one for each step, sent to a collector in the background.

Source: OpenTelemetry, "OTLP/HTTP".
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from rnb.contract.events import Event, EventKind
from rnb.contract.termination import UsageError
from rnb.live.asking import LivePipeline
from rnb.serving.request_log import Note
from rnb.show import console

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
except ImportError as error:
    raise UsageError(f"--otlp: {error.name} is not installed: pip install 'rnb[otlp]'") from None

TRIES_S = 2.0
"""How long sending a batch may take."""
END_S = 5.0
"""How long what is left may take at the end."""
EVERY_MS = 1000


def check_collector(endpoint: str) -> None:
    """Raises UsageError for what cannot be one."""
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UsageError(f"--otlp {endpoint}: no URL, as http://localhost:4318/v1/traces")


class Spans:
    """Goes to `endpoint`, as http://localhost:4318/v1/traces; for the thread of the event loop."""

    def __init__(self, endpoint: str, pipeline: LivePipeline) -> None:
        self._pipeline = pipeline
        self._ids = _Ids()
        exporter = _Telling(OTLPSpanExporter(endpoint=endpoint, timeout=TRIES_S), endpoint)
        # Set by hand, so that no other code of the process sends spans along.
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": f"rnb {pipeline.name}"}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EVERY_MS))
        self._tracer = self._provider.get_tracer("rnb")

    def write(self, note: Note) -> None:
        """A request that has ended, by its note."""
        told, offset_ns = note.to_json(), time.time_ns() - time.monotonic_ns()
        span = self._tracer.start_span(
            note.what,
            context=self._context_of(note),
            kind=trace.SpanKind.SERVER,
            start_time=note.began_ns + offset_ns,
            attributes={
                f"rnb.{name}": told[name] for name in ("protocol", "status", "id", "rows") if name in told
            },
        )
        within = trace.set_span_in_context(span)
        for name, start_ns, end_ns in self._work(note.times_ns):
            part = self._tracer.start_span(name, context=within, start_time=start_ns + offset_ns)
            part.end(end_ns + offset_ns)
        if note.reason:
            span.set_status(trace.StatusCode.ERROR, note.reason)
        span.end(time.monotonic_ns() + offset_ns)

    def close(self) -> None:
        """Send what is left, for END_S at most."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(END_S)

    def _context_of(self, note: Note) -> Any:
        """The parent's, where there is one; the span gets the ids that the client was told."""
        ids = note.trace
        self._ids.given = int(ids.trace_id, 16), int(ids.span_id, 16)
        if not ids.parent_id:
            return trace.set_span_in_context(trace.INVALID_SPAN)
        parent = trace.SpanContext(
            int(ids.trace_id, 16),
            int(ids.parent_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(int(ids.flags, 16)),
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(parent))

    def _work(self, times_ns: Mapping[Event, int]) -> list[tuple[str, int, int]]:
        """What each step did with the request, whole: its queue, and the step itself."""
        found, before_ns = [], times_ns.get(Event(EventKind.SENT), 0)
        for number, step in enumerate(self._pipeline.steps):
            taken, finished, handed = (
                times_ns.get(Event(kind, number), 0)
                for kind in (EventKind.TAKEN, EventKind.FINISHED, EventKind.HANDED_ON)
            )
            if before_ns and taken:
                found.append((f"wait for {step.name}", before_ns, taken))
            if taken and finished:
                found.append((step.name, taken, finished))
            before_ns = handed
        return found


class _Ids(RandomIdGenerator):
    """Gives the next span the ids `given`, and the others random ones."""

    given: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return self.given[0] if self.given else super().generate_trace_id()

    def generate_span_id(self) -> int:
        given, self.given = self.given, None
        return given[1] if given else super().generate_span_id()


class _Telling(SpanExporter):
    """Says once that the collector does not take them, instead of each time."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter, self._endpoint, self._has_told = exporter, endpoint, False
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS and not self._has_told:
            self._has_told = True
            console.warn(f"--otlp: {self._endpoint} does not take spans; serving goes on without")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
