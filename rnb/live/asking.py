"""What a front end asks of a pipeline that serves, and what it may be told; no protocol is known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from rnb.contract.events import Event


class Why(StrEnum):
    """Why a request has no result."""

    BAD = "bad"
    """It cannot be served, say because its video cannot be decoded: the sender's fault."""
    BUSY = "busy"
    """As many requests as may wait are there already: come again later."""
    LATE = "late"
    """Its deadline passed before it was served."""
    CANCELLED = "cancelled"
    """Whoever asked has gone."""
    FAILED = "failed"
    """The replica that had it died, or its step is broken."""
    CLOSED = "closed"
    """The pipeline is ending, or not ready yet."""


class NotServed(Exception):
    """A request without a result; its text says the reason in a line."""

    def __init__(self, why: Why, reason: str) -> None:
        super().__init__(reason)
        self.why = why


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request."""

    payload: bytes | str
    """What the first step takes: an encoded video or image, or the path of one."""
    suffix: str = ""
    """Of a file with these bytes, '.mp4' say, where a decoder looks at it."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What goes along with it: sequence_id, sequence_start, sequence_end (rnb/contract/sequence.py)."""
    deadline_ns: int | None = None
    """By the clock of time.monotonic_ns; None: it waits as long as it takes."""
    trace_id: str = ""
    """Of 32 hexadecimal digits (W3C trace context); '': none."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of a request."""

    result: Any
    """A ClassAndScore, bytes, or anything that JSON knows: what the last step gave."""
    times_ns: Mapping[Event, int]
    """When it reached each event, by the clock of time.monotonic_ns."""
    class_name: str | None = None
    """What its class is called; None: it has no name, or the result is no class."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much was done, and for how long: a count and the ns of all of it."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True, kw_only=True)
class StepStatistics:
    """Of one step since the start, in Triton's terms; the pipeline as a whole has them too."""

    inference_count: int
    """Requests that were served."""
    execution_count: int
    """Calls."""
    success: Work
    fail: Work
    cancel: Work
    queue: Work
    """From the hand-off before it until a worker took it."""
    compute_input: Work
    """Gathering a batch, waiting for a slot and a turn."""
    compute_infer: Work
    """The call."""
    compute_output: Work
    """Handing on."""
    last_inference_ms: int = 0
    """Of the epoch; 0: none yet."""


BOUNDS_MS = (0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""Of the buckets of a histogram."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How long requests took that were served: in a step, its queue included, or in the whole pipeline."""

    counts: tuple[int, ...]
    """Of up to each of BOUNDS_MS, and of more than the last: not cumulative, one more than there are
    bounds."""
    ns: int
    """All of it."""


@dataclass(frozen=True, kw_only=True)
class StepInfo:
    """A step, as a model of its own."""

    name: str
    """The class and the step's number, as 'R2P1DRunner-1': a URL's path may hold it."""
    model: str
    """Its import path."""
    max_batch_size: int
    devices: tuple[str, ...]
    """Of each replica."""
    is_stateful: bool


class LivePipeline(Protocol):
    """A pipeline that serves. Its methods are called from one thread, that of its event loop."""

    @property
    def name(self) -> str:
        """What clients call it."""

    @property
    def steps(self) -> Sequence[StepInfo]: ...

    @property
    def is_ready(self) -> bool:
        """Whether every step has a replica that can serve, and it is not ending."""

    @property
    def failure(self) -> str:
        """Why it will not serve any more though nobody ended it, in a line; empty: it will."""

    @property
    def num_pending(self) -> int:
        """Requests that have been taken and have no answer yet."""

    @property
    def queue_depths(self) -> Sequence[int]:
        """Messages that wait before each step."""

    async def serve(self, ask: Ask) -> Answer:
        """Serve a request. Cancelling this drops the request before work is wasted on it.

        Raises NotServed.
        """

    def statistics(self) -> Mapping[str, StepStatistics]:
        """By the name of the step; that of the pipeline under its own name."""

    def histograms(self) -> Mapping[str, Histogram]:
        """By the same names."""

    async def drain(self, grace_s: float) -> bool:
        """Take no more, answer what was taken, and end all processes; whether that was done in time."""
