"""A client's share of a schedule, in memory that it shares with the driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnb.contract.request import Request
from rnb.load.sequences import Sequences


class Numbers(Protocol):
    """An array in shared memory."""

    @property
    def values(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True, kw_only=True)
class ScheduleSource:
    """Every n-th request, where there are n clients. It is passed on in a few bytes, however long it is."""

    all_arrivals_ns: Numbers
    payloads: Sequence[str]
    payload_of: Numbers
    number: int
    """Which client this is."""
    num_clients: int
    sequences: Sequences | None = None

    @property
    def ids(self) -> range:
        """The requests that this client sends."""
        return range(self.number, len(self.all_arrivals_ns.values), self.num_clients)

    @property
    def arrivals_ns(self) -> NDArray[np.int64]:
        """When each of them arrives, from the start; ascending."""
        return self.all_arrivals_ns.values[self.number :: self.num_clients]

    def __iter__(self) -> Iterator[Request]:
        payload_of = self.payload_of.values[self.number :: self.num_clients]
        for request_id, number in zip(self.ids, payload_of, strict=True):
            yield Request(request_id, self.payloads[number], parameters=self._parameters_of(request_id))

    def _parameters_of(self, request_id: int) -> dict[str, Any] | None:
        return self.sequences.parameters_of(request_id) if self.sequences else None
