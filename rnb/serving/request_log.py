"""A line of JSON for each request."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from rnb.contract.events import Event
from rnb.contract.termination import UsageError
from rnb.serving.trace_context import Trace


@dataclass(kw_only=True, slots=True)
class Note:
    """What is told of a request."""

    protocol: str
    """http or grpc."""
    what: str
    """Method and path, or the name of the call."""
    trace: Trace
    began_ns: int = field(default_factory=time.perf_counter_ns)
    status: int | str = "OK"
    request_id: str = ""
    num_bytes: int = 0
    """Of its body, as far as it was read; only over HTTP."""
    num_rows: int = 0
    """Requests of the pipeline that it was."""
    reason: str = ""
    """Why it has no answer."""
    times_ns: Mapping[Event, int] = field(default_factory=dict)
    """What became of its first row in the pipeline; empty without an answer."""

    def to_json(self) -> dict[str, Any]:
        told = {
            "time": round(time.time(), 6),
            "trace_id": self.trace.trace_id,
            "span_id": self.trace.span_id,
            "parent_id": self.trace.parent_id,
            "protocol": self.protocol,
            "request": self.what,
            "id": self.request_id,
            "bytes": self.num_bytes,
            "rows": self.num_rows,
            "status": self.status,
            "reason": self.reason,
            "duration_ms": (time.perf_counter_ns() - self.began_ns) / 1e6,
        }
        return {name: value for name, value in told.items() if value not in ("", 0)}


class RequestLog:
    """Where the lines go: '-' is stdout, None nowhere. Raises UsageError where nothing can be written."""

    def __init__(self, place: str | None) -> None:
        self._stream: TextIO | None = None
        if place == "-":
            self._stream = sys.stdout
        elif place is not None:
            try:
                self._stream = open(place, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 (it stays open)
            except OSError as error:
                raise UsageError(f"--request-log: {place}: {error.strerror}") from None

    def write(self, note: Note) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(note.to_json()) + "\n")
            self._stream.flush()
        except OSError:  # nobody reads it, or the disk is full: serving goes on
            if self._stream is sys.stdout:
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._stream = None
