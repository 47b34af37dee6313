"""Why a request gets no answer, as HTTP and gRPC say it."""

from __future__ import annotations

from typing import NamedTuple

from rnb.live.asking import NotServed, Why


class Kind(NamedTuple):
    """A kind of refusal."""

    http: int
    """The status."""
    grpc: str
    """The name of the status code."""
    retry_after_s: int | None = None


INVALID = Kind(400, "INVALID_ARGUMENT")
NO_KEY = Kind(401, "UNAUTHENTICATED")
NOT_FOUND = Kind(404, "NOT_FOUND")
TOO_LARGE = Kind(413, "INVALID_ARGUMENT")
WRONG_TYPE = Kind(415, "INVALID_ARGUMENT")
BROKEN = Kind(500, "INTERNAL")
OF_WHY = {
    Why.BAD: INVALID,
    Why.BUSY: Kind(503, "UNAVAILABLE", retry_after_s=1),
    Why.LATE: Kind(504, "DEADLINE_EXCEEDED"),
    Why.CANCELLED: Kind(499, "CANCELLED"),
    Why.FAILED: BROKEN,
    Why.CLOSED: Kind(503, "UNAVAILABLE", retry_after_s=1),
}


class Refusal(Exception):
    """A request that is not answered; its text is what the client reads."""

    def __init__(self, reason: str, kind: Kind = INVALID) -> None:
        super().__init__(reason)
        self.kind = kind


def refusal_of(error: NotServed) -> Refusal:
    """What the client is told of a request that the pipeline did not serve."""
    return Refusal(str(error), OF_WHY[error.why])
