"""The closed list of what makes a run INVALID."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a run is INVALID; what each looks at is in docs/measuring.md."""

    REQUESTS_LOST = "requests lost"
    REQUESTS_FAILED = "requests failed"
    QUEUE_FULL = "queue full"
    TOO_SHORT = "too short"
    TOO_FEW_REQUESTS = "too few requests"
    BOUND_MISSED = "latency bound missed"
    CLIENT_LATE = "client late"
    CLOCKS_THROTTLED = "clocks throttled"
    NOT_STEADY = "not in a steady state"
    LITTLES_LAW = "Little's law does not hold"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A reason, as it showed in a run."""

    reason: Reason
    seen: str
    """With the figure and its limit."""
    advice: str
    """Something that the user has not done yet."""
