"""Which sequence each request of a run belongs to: so many are played at once, their requests in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.sequence import FRAME, FRAME_STEP, SequencePoint


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """`num_at_once` sequences are under way; where one has ended, the next begins in its place.

    The last ones are shorter where the requests do not add up.
    """

    num_at_once: int
    length: int
    """Requests of a sequence."""
    num_requests: int
    frame_step: int | None = None
    """Of live streams: from the frame of one request to that of the next."""

    def point_of(self, request_id: int) -> SequencePoint:
        """Where a request stands."""
        turn, lane = divmod(request_id, self.num_at_once)
        generation, position = divmod(turn, self.length)
        is_end = position == self.length - 1 or request_id + self.num_at_once >= self.num_requests
        return SequencePoint(generation * self.num_at_once + lane, position == 0, is_end, position)

    def parameters_of(self, request_id: int) -> dict[str, Any]:
        """What a request says of where it stands."""
        point = self.point_of(request_id)
        if self.frame_step is None:
            return point.parameters
        assert point.position is not None
        return {**point.parameters, FRAME: point.position * self.frame_step, FRAME_STEP: self.frame_step}

    @property
    def ids(self) -> NDArray[np.int64]:
        """The sequence of each request, (num_requests,)."""
        turns, lanes = np.divmod(np.arange(self.num_requests), self.num_at_once)
        ids: NDArray[np.int64] = turns // self.length * self.num_at_once + lanes
        return ids
