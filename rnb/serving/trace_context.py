"""The trace that a request belongs to. Source: W3C, "Trace Context", level 1."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

HEADER = "traceparent"
_FORM = re.compile(
    r"(?!ff)(?!00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
"""Only of a version after 00 there may be more of it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Where in a trace this server's work stands."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    flags: str = "00"

    def child(self) -> Trace:
        """Of a part of that work."""
        return Trace(self.trace_id, _new_span_id(), self.span_id, self.flags)

    @property
    def header(self) -> str:
        """As it goes back to the client."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def trace_of(header: str | None) -> Trace:
    """That of a traceparent; a new one without it, or where it is malformed."""
    span_id = _new_span_id()
    match = _FORM.fullmatch(header) if header else None
    if match is None:
        return Trace(f"{random.getrandbits(128) or 1:032x}", span_id)
    return Trace(match[1], span_id, match[2], match[3])


def _new_span_id() -> str:
    return f"{random.getrandbits(64) or 1:016x}"
