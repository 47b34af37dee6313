"""The requests that a step holds back which makes messages of its own, so that none gets lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rnb.contract.request import Batch, OutputError, Request

_MOST_NAMED = 5


class Holding:
    """Of one step instance."""

    def __init__(self, *, joins: bool) -> None:
        self._joins = joins
        self._segments: dict[int, set[int]] = {}
        """By request, which of its segments the step has."""

    @property
    def is_holding(self) -> bool:
        return bool(self._segments)

    def outputs(self, output: Any, called_for: Sequence[Request]) -> list[Batch]:
        """What the step gave after it was called for some requests. Raises OutputError for others than it
        has."""
        for request in called_for:
            self._segments.setdefault(request.id, set()).add(request.segment)
        batches = [] if output is None else [output] if isinstance(output, Batch) else list(output)
        for batch in batches:
            if not batch.requests:
                raise OutputError("the step gave a batch of no requests")
            for request in batch.checked().requests:
                self._give_out(request)
        return batches

    def _give_out(self, request: Request) -> None:
        held = self._segments.get(request.id, set())
        if self._joins and held:
            held.clear()
        elif request.segment in held:
            held.remove(request.segment)
        else:
            raise OutputError(f"the step gave out request {request.id}, which it does not have")
        if not held:
            del self._segments[request.id]

    def check_empty(self, has_failed: Callable[[int], bool] = lambda request_id: False) -> None:
        """At the end of the stream. Raises OutputError when something is still held.

        Segments of a request that has failed are no matter: the others of it never came.
        """
        left = [request_id for request_id in self._segments if not has_failed(request_id)]
        if left:
            ids = ", ".join(map(str, left[:_MOST_NAMED]))
            raise OutputError(f"at the end the step still holds {len(left)} requests: {ids}")
