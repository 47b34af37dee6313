"""Steps that keep something of a sequence."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from typing import Any

from rnb.contract import Batch, RequestError, StatefulStep, point_of


class Positions(StatefulStep):
    """The result of a request: the positions of its sequence that came to this instance so far, and how many
    requests its call had."""

    class Options(StatefulStep.Options):
        fail_position: int = -1
        die_at: int = -1
        """The request in whose call the process ends."""

    batches_requests = True

    def start(self, sequence: Hashable) -> list[int]:
        return []

    def __call__(self, batch: Batch) -> Batch:
        points = [point_of(request) for request in batch.requests]
        payloads = []
        for request, point in zip(batch.requests, points, strict=True):
            assert point is not None
            assert point.position is not None
            if request.id == self.options.die_at:
                os._exit(7)
            if point.position == self.options.fail_position:
                raise RequestError("this position fails", [request.id])
            seen: list[int] = self.states[point.id]
            seen.append(point.position)
            payloads.append({"sequence": point.id, "seen": list(seen), "in call": len(batch)})
        return batch.give(payloads=payloads)

    def results(self, output: Batch) -> Sequence[Any]:
        return output.payloads
