"""What joins the processes of a run, as interfaces. `rnb.transport.local` is the one for a single machine.

Whatever crosses a process comes from one `Fabric`, so that another transport is another package, not an edit.
All of it is made in the driver, and passed to a process as an argument when that is started.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnb.contract.device import Device
from rnb.contract.events import Event
from rnb.contract.request import Layout, Request
from rnb.contract.termination import Termination
from rnb.transport.message import Message

if TYPE_CHECKING:
    import torch


POLL_S = 0.2
"""How often whoever waits for something looks at the stop flag."""


class QueueFull(Exception):
    """A put into a queue that holds as much as it may; its text is the name of the queue."""


class EndOfStream(Exception):
    """All writers have closed the queue and it is empty."""


class Stopped(Exception):
    """The run is over; whoever waits for something gives up."""


class SlotsLost(Exception):
    """The process that allocated the slots is gone, and its memory with it."""


class Inlet(Protocol):
    """What messages are taken from."""

    def take(self, timeout_s: float, *, poll_s: float = 0) -> Message:
        """The oldest message; raises TimeoutError after `timeout_s`, EndOfStream at the end.

        For the first `poll_s` of the wait it looks often instead of sleeping until it is woken.
        """


class ReadingEnd(Protocol):
    """A queue as a reader has it."""

    def put_back(self, message: Message) -> None:
        """Append a message that was there before, whatever the capacity is."""

    def take(
        self, timeout_s: float, *, poll_s: float = 0, claim: Callable[[Message], None] | None = None
    ) -> Message:
        """As of Inlet; `claim` is called with the message before the queue forgets it, so that a reader that
        dies has claimed what it took."""


class WritingEnd(Protocol):
    """A queue as a writer has it."""

    @property
    def name(self) -> str: ...

    def put(self, message: Message) -> None:
        """Append a message, or raise QueueFull at once. A writer never waits."""

    def put_back(self, message: Message) -> None:
        """Append a message that was there before, whatever the capacity is."""

    def depth(self) -> int:
        """How many messages wait now."""

    def close(self) -> None:
        """Say that this writer will put nothing more."""


class Queue(WritingEnd, Protocol):
    """A bounded queue with many writers and many readers."""

    def put_pickled(self, data: bytes | memoryview) -> None:
        """Put a message that somebody else has pickled."""

    def widen(self) -> None:
        """From now on let it hold more than it may: what waits for somebody who is away says nothing of who
        could not keep up."""

    def sift(self, is_dropped: Callable[[Message], bool]) -> None:
        """After a process that used the queue has died: set right what it left half done, and drop messages.

        Others may use the queue meanwhile.
        """

    def of_reader(self, number: int) -> ReadingEnd:
        """What its n-th reader takes from: the same for all, or a share of its own."""


class Pool(Protocol):
    """The slots of one replica. The driver makes it, the replica allocates it, its readers attach to it."""

    layout: Layout
    num_slots: int
    device: Device

    @property
    def outlives_producer(self) -> bool:
        """Whether the slots stay when the process that allocated them ends."""

    def allocate(self) -> bytes:
        """Allocate the slots, in the producer; returns what `attach` needs in a reader."""

    def attach(self, handle: bytes) -> None:
        """Map the slots in a reader, on whatever device they are."""

    def detach(self) -> None:
        """Let go of the slots: a reader when it has read its last one, the producer after all readers."""

    def pin(self) -> None:
        """Page-lock slots in CPU memory, so that a GPU reads them at full speed."""

    def hold(self, index: int, reader: int) -> None:
        """Note that a reader has taken the slot's message."""

    def let_go(self, reader: int) -> None:
        """Release what a reader held that has died."""

    def reclaim(self, waiting: Collection[int] = ()) -> None:
        """Release what no reader holds: the producer has died, and no message of it waits any more but those
        in the slots `waiting`.

        Where the slots went with it, what readers still hold is lost, and the next producer allocates anew.
        """

    def wait_until_read(self) -> None:
        """Wait until all slots are free; raises Stopped when the run ends first."""

    def tensors(self, index: int) -> tuple[torch.Tensor, ...]:
        """The tensors of a slot, with all their rows; raises SlotsLost where they went with their
        producer."""

    def take(self) -> int:
        """Wait for a free slot and own it; raises Stopped when the run ends first."""

    def release(self, index: int) -> None:
        """Give a slot back to its producer. The reader's work on it must have finished."""


class Stamp(Protocol):
    """Records one kind of event of requests."""

    def __call__(self, request: Request, time_ns: int) -> None: ...


class Sink(Protocol):
    """Where results go."""

    def finish(self, request_id: int, result: Any) -> None:
        """The result of a request. Raises ValueError for one that cannot be kept."""

    def fail(self, request_id: int, reason: str) -> None:
        """A request cannot be served."""

    def lose(self, request_id: int, reason: str) -> None:
        """A request has failed through no fault of its own."""


NOBODY = -1
GIVEN_UP = -2
"""In the place of a holder: the try of a request came to nothing on this node, and it is nowhere there."""
UNFINISHED, FINISHED, FAILED, REFUSED, DROPPED = range(5)
STATUS_NAMES = ("unfinished", "finished", "failed", "refused", "dropped")
"""What can have become of a request."""


class Table(Sink, Protocol):
    """What happened to each request, in memory that outlives the process that writes it."""

    num_requests: int
    events: tuple[Event, ...]
    times: NDArray[np.int64]
    """(num_requests, number of events), readings of the clock, 0 = not reached."""
    holders: NDArray[np.int32]
    """Of each request: the replica, by its place in the plan, that took it last, or the bridge (their numbers
    follow); NOBODY, GIVEN_UP, and less (see rnb/processes/whereabouts.py): none."""
    moves: NDArray[np.int64]
    """Of each request: how often it has gone from node to node, as far as is known here."""
    shunned: NDArray[np.int32]
    """Of each request: the replica that it failed in last, which leaves it to others; NOBODY: none."""
    outcomes: NDArray[Any]
    """With the fields status, label, score, num_clips, width, height and reason."""

    def stamp(self, event: Event) -> Stamp | None:
        """What records the event, of whole requests and of segments; None where the run does not have it."""

    def record_taken(self, step: int, request: Request, *, replica: int, worker: int) -> None:
        """Note who took a request from the queue before a step."""

    def claim(self, request: Request, replica: int) -> None:
        """Note which replica, by its place in the plan, has a request or a segment of it now."""

    def is_held(self, request: Request, replica: int) -> bool:
        """Whether a replica was the last to claim a request, or any of its segments."""

    def is_wanted(self, request: Request) -> bool:
        """Whether a request is still to be served, when a worker has taken it."""

    def note_due(self, request_ids: range, due_ns: NDArray[np.int64]) -> None:
        """When requests are due."""

    def refuse(self, request_id: int) -> None:
        """A queue was full when the request came."""

    def drop(self, request_id: int) -> None:
        """It came to a replica too late to be worth its work."""

    def note_rows(self, request_id: int, num_rows: int) -> None:
        """How many rows, clips of a video say, the first step made of a request."""

    def note_size(self, request_id: int, width: int, height: int) -> None:
        """How large the pictures of a request are, in pixels."""

    def note_codec(self, request_id: int, codec: str) -> None:
        """How they are encoded; of a long name the beginning is kept."""

    def column(self, event: Event) -> NDArray[np.int64]:
        """The times of an event."""

    def note(self, request_id: int, text: str) -> None:
        """Keep what is odd about a request that is served; it is lost where the request fails after all."""

    def has_failed(self, request_id: int) -> bool:
        """Whether a request is known to get no result."""

    def count(self, status: int) -> int:
        """How many requests have a status."""

    def results(self) -> dict[int, Any]:
        """The results that are no class and score, by request."""

    def new_results(self) -> dict[int, Any]:
        """Those of them that have come since this process asked last."""

    def served_by_columns(self) -> dict[str, NDArray[np.int32]]:
        """Who took each request: replica<i> and worker<i>, with -<segment> where it came in segments."""


def served_by_names(taking: Event) -> tuple[str, str]:
    """The columns that say who took a request: replica<i> and worker<i>, with -<segment> of a segment."""
    where = f"{taking.step}{'' if taking.segment is None else f'-{taking.segment}'}"
    return f"replica{where}", f"worker{where}"


class Log(Protocol):
    """Records that several processes append, and that stay when those are gone."""

    def append(self, key: int, data: bytes) -> None: ...

    def read(self) -> Iterator[tuple[int, bytes]]:
        """All of them, in the order in which they came."""

    def follow(self) -> Iterator[tuple[int, bytes]]:
        """Those that have come since this process followed it last."""


class Stop(Protocol):
    """The flag that ends a run; the first reason is kept."""

    @property
    def reason(self) -> Termination: ...

    def raise_flag(self, reason: Termination) -> None: ...

    def check(self) -> None:
        """Raise Stopped when the run is over, or when the driver has died without saying so."""


class ControlLine(Protocol):
    """A child process's end of its line to the driver; either side may say the same thing several times."""

    @property
    def stop(self) -> Stop: ...

    def close(self) -> None:
        """In the driver: the child has its own copy."""

    def tell(self, kind: str, value: Any = None) -> None: ...

    def wait_for(self, kind: str) -> Any:
        """Wait for a message of the driver; raises Stopped when the run ends first."""

    def wait_for_exit(self) -> None:
        """Wait until the driver lets go: until then others may read this process's slots."""


class Clock(Protocol):
    """What the processes of a run tell the time by."""

    def now_ns(self) -> int: ...

    def epoch_offset_ns(self) -> int: ...


class Fabric(Protocol):
    """Makes all of that for one run."""

    @property
    def stop(self) -> Stop: ...

    @property
    def clock(self) -> Clock: ...

    def queue(self, name: str, *, capacity: int, num_writers: int) -> Queue: ...

    def sequence_queue(self, name: str, *, capacity: int, num_writers: int, num_readers: int) -> Queue:
        """One whose messages of a sequence all go to the same reader; `capacity` is that of each reader."""

    def pool(self, *, layout: Layout, num_slots: int, device: Device) -> Pool: ...

    def table(self, *, num_requests: int, events: Sequence[Event]) -> Table: ...

    def log(self) -> Log: ...

    def line(self) -> tuple[Any, ControlLine]:
        """The driver's end, and the child's."""

    def pipe(self) -> tuple[Any, Any]:
        """Two ends of a line of any messages, as multiprocessing has it."""

    def texts(self, texts: Sequence[str]) -> Sequence[str]:
        """The same texts, in memory that all processes share."""

    def numbers(self, values: Any) -> Any:
        """The same array, in memory that all processes share."""

    def process(self, *, name: str, target: Any, args: tuple[Any, ...]) -> Any:
        """A process to be started, as multiprocessing has it."""


Handles = Mapping[int, bytes]
"""What each pool's producer told for its readers to attach, by the pool."""
