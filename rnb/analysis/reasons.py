"""The closed lists of what makes a run INVALID, and of what leaves it NOT JUDGED."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a run is INVALID or NOT JUDGED; what each looks at is in docs/measuring.md."""

    PROCESS_FAILED = "process failed"
    INTERRUPTED = "interrupted"
    REQUESTS_LOST = "requests lost"
    REQUESTS_FAILED = "requests failed"
    QUEUE_FULL = "queue full"
    TOO_SHORT = "too short"
    TOO_FEW_REQUESTS = "too few requests"
    BOUND_MISSED = "latency bound missed"
    CLIENT_LATE = "client late"
    OTHER_LOAD = "other load"
    CLOCKS_THROTTLED = "clocks throttled"
    CLOCKS_DROPPED = "clocks dropped"
    NOT_STEADY = "not in a steady state"
    LITTLES_LAW = "Little's law does not hold"
    MEMORY_GROWS = "memory grows"
    CLOCKS_APART = "clocks not known well enough"
    STEADINESS_UNTESTED = "steady state not tested"
    MACHINE_UNWATCHED = "other load not looked at"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A reason, as it showed in a run."""

    reason: Reason
    seen: str
    """With the figure and its limit."""
    advice: str
    """Something that the user has not done yet."""

    def to_json(self) -> dict[str, str]:
        return {"reason": self.reason.value, "seen": self.seen, "advice": self.advice}
