"""Steps that keep something of a sequence."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Sequence
from typing import Any

from rnb.contract import Batch, Context, RequestError, StatefulStep, Step, point_of
from rnb.contract.sequence import FRAME, FRAME_STEP, ID


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


class FrameNumbers(StatefulStep):
    """The result of a request: its sequence, and which frame of the stream it is for."""

    class Options(StatefulStep.Options):
        busy_ms: float = 0

    def start(self, sequence: Hashable) -> None:
        """Nothing is kept."""

    def __call__(self, batch: Batch) -> Batch:
        (request,) = batch.requests
        time.sleep(self.options.busy_ms / 1e3)
        told = request.parameters or {}
        return batch.give(payloads=[{"sequence": told[ID], "frame": told[FRAME], "step": told[FRAME_STEP]}])

    def results(self, output: Batch) -> Sequence[Any]:
        return output.payloads


class PixelSums(Step):
    """The result of a request: the sum of its frame's bytes, and the sequence."""

    def __call__(self, batch: Batch) -> Batch:
        (request,) = batch.requests
        told = request.parameters or {}
        return batch.give(payloads=[{"sum": int(batch.tensors[0].sum()), "sequence": told[ID]}])

    def results(self, output: Batch) -> Sequence[Any]:
        return output.payloads


class FewSequences(FrameNumbers):
    """Cannot start where there are more than `most` sequences at once."""

    class Options(FrameNumbers.Options):
        most: int = 3

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        if context.num_sequences > options.most:
            raise MemoryError(f"no room for {context.num_sequences} sequences")
