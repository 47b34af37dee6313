"""A request, and the batch of requests that a step is called with and gives back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

Rows = tuple[int, ...]
"""Of one request: how many rows it has in each tensor."""


class RequestError(Exception):
    """A request cannot be served, say because its video cannot be decoded; the others go on.

    Raise it from a step's call. With several requests in the call, name the failed ones in `request_ids` and
    the call is made again without them; by default it stands for all of the call.
    """

    def __init__(self, reason: str, request_ids: Sequence[int] | None = None) -> None:
        super().__init__(reason)
        self.request_ids = request_ids


class OutputError(ValueError):
    """A step gave back what does not fit the requests of its call: one line."""


class Request(NamedTuple):
    """A request, or one segment of it, as a step sees it."""

    id: int
    payload: Any = None
    """What the step before says of it; to the first step, what the load sends: the path of a video, say."""
    segment: int = 0
    """Which of its `num_segments` segments this is; 0 when it is whole."""
    num_segments: int = 1
    parameters: Mapping[str, Any] | None = None
    """What the load says beside the payload, a sequence's id or a deadline, say; it goes along to the end."""

    def with_payload(self, payload: Any) -> Request:
        return Request(self.id, payload, self.segment, self.num_segments, self.parameters)

    @property
    def whole(self) -> Request:
        """The request of which this is a segment."""
        return Request(self.id, self.payload, 0, 1, self.parameters)


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests with their rows: what a step's call takes, and what it gives back.

    Each tensor holds the rows of all requests, one request after the other, and `rows` says how many of them
    are whose. Tensors may differ in their number type and in how many rows a request has in them, as frames
    and the boxes in them do.
    """

    requests: tuple[Request, ...]
    tensors: tuple[torch.Tensor, ...] = ()
    rows: tuple[Rows, ...] = ()
    """Of each request; empty without tensors."""
    messages: tuple[int, ...] = ()
    """Of the batch of a call: how many requests each message brought that it was gathered from."""
    sizes: tuple[int, ...] = ()
    """Of each request, how many rows it is going to have, for the selector; only of a step that tells."""

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def payloads(self) -> list[Any]:
        return [request.payload for request in self.requests]

    @property
    def ids(self) -> list[int]:
        return [request.id for request in self.requests]

    @property
    def size(self) -> int:
        """How many rows there are, or are going to be, in the first tensor. Raises OutputError."""
        if self.sizes:
            return sum(self.sizes)
        if not self.tensors:
            raise OutputError("a selector asks how large a request is, and its step gave no tensors or sizes")
        return len(self.tensors[0])

    def num_rows(self, tensor: int = 0) -> list[int]:
        """How many rows of a tensor each request has."""
        return [rows[tensor] for rows in self.rows]

    def split(self, tensor: int = 0) -> list[torch.Tensor]:
        """The rows of each request in a tensor, as views."""
        ends = list(itertools.accumulate(self.num_rows(tensor), initial=0))
        rows = self.tensors[tensor]
        return [rows[start:end] for start, end in itertools.pairwise(ends)]

    def give(
        self,
        *,
        tensors: Sequence[torch.Tensor] = (),
        rows: Sequence[int | Rows] = (),
        payloads: Sequence[Any] | None = None,
        sizes: Sequence[int] = (),
    ) -> Batch:
        """An output for the same requests.

        Args:
            tensors: the rows of all requests, in their order.
            rows: for each request, how many rows of each tensor are its own; a plain number where there is
            one
                tensor. `batch.num_rows()` says that it has as many as it came with.
            payloads: one for each request; by default None for each.
            sizes: for each request, how many rows a step after this one is going to make of it, where that is
                known; a selector may ask.

        Raises:
            OutputError: the numbers do not add up.
        """
        values = [None] * len(self.requests) if payloads is None else payloads
        if len(values) != len(self.requests):
            raise OutputError(f"{len(values)} payloads for {len(self.requests)} requests")
        if sizes and len(sizes) != len(self.requests):
            raise OutputError(f"{len(sizes)} sizes for {len(self.requests)} requests")
        requests = tuple(map(Request.with_payload, self.requests, values))
        each = tuple((entry,) if isinstance(entry, int) else tuple(entry) for entry in rows)
        return Batch(requests, tuple(tensors), each, sizes=tuple(sizes)).checked()

    def checked(self) -> Batch:
        """This batch, if the rows of its requests add up to those of its tensors; raises OutputError."""
        if not self.tensors:
            if any(self.rows):
                raise OutputError("rows are given, but no tensor")
            return self
        if len(self.rows) != len(self.requests):
            raise OutputError(f"the rows of {len(self.rows)} requests are given, of {len(self.requests)}")
        if wrong := [len(rows) for rows in self.rows if len(rows) != len(self.tensors)]:
            raise OutputError(f"the rows of {wrong[0]} tensors are given, of {len(self.tensors)}")
        for number, tensor in enumerate(self.tensors):
            counts = self.num_rows(number)
            if min(counts) < 0 or sum(counts) != len(tensor):
                raise OutputError(
                    f"tensor {number} has {len(tensor)} rows, and its {len(counts)} requests have {counts}"
                )
        return self

    def cut(self, counts: Sequence[int]) -> list[Batch]:
        """Several batches, of so many requests each; no counts: as it is."""
        if len(counts) <= 1:
            return [self]
        batches, start, firsts = list[Batch](), 0, [0] * len(self.tensors)
        for count in counts:
            rows = self.rows[start : start + count]
            ends = [first + sum(one[i] for one in rows) for i, first in enumerate(firsts)]
            tensors = tuple(t[a:b] for t, a, b in zip(self.tensors, firsts, ends, strict=True))
            end = start + count
            batches.append(Batch(self.requests[start:end], tensors, rows, sizes=self.sizes[start:end]))
            start, firsts = end, ends
        return batches


ITEM_BYTES = {
    "float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1,
    "uint8": 1, "bool": 1,
}  # fmt: skip
"""The number types of tensors, as torch names them, and the bytes of each."""


class TensorSpec(NamedTuple):
    """What a tensor of a step's output is: the largest shape for one request, and its number type."""

    shape: tuple[int, ...]
    """Rows first."""
    dtype: str = "float32"
    """As torch names it."""

    @property
    def most_rows(self) -> int:
        return self.shape[0]

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.shape[1:]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]

    def with_rows(self, num_rows: int) -> TensorSpec:
        return TensorSpec((num_rows, *self.row), self.dtype)


Layout = tuple[TensorSpec, ...]
"""All tensors of an output; empty: there are none."""


def split_rows(counts: Sequence[int], num_segments: int) -> list[list[int]]:
    """Rows of each segment of the requests in a message, as even as can be: 11 in 3 is [4, 4, 3].

    The larger segments of a request begin where those of the one before it end, so that those of the whole
    message are as even: 1, 1 and 4 in 3 are [1, 0, 0], [0, 1, 0] and [1, 1, 2].
    """
    shares, first = list[list[int]](), 0
    for count in counts:
        quotient, remainder = divmod(count, num_segments)
        shares.append([quotient + ((one - first) % num_segments < remainder) for one in range(num_segments)])
        first += remainder
    return shares
