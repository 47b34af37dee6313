"""A simulated worker: what rnb/processes/worker.py does with messages, slots and turns, without the work.

It is a generator that gives way wherever the real one waits; the calendar resumes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnb.contract.request import Batch, Request, split_rows
from rnb.pipeline.plan import ReplicaPlan
from rnb.simulation.calendar import Calendar, when_both
from rnb.simulation.holding import Holding
from rnb.simulation.lock import Lock
from rnb.simulation.message import Message, Piece
from rnb.simulation.queue import SimulatedQueue
from rnb.simulation.service_times import Costs, Lots, ServiceTimes
from rnb.simulation.shared_resource import SharedResource
from rnb.simulation.slots import Slots
from rnb.transport.several_queues import LOOK_S

LOOK_NS = round(LOOK_S * 1e9)
Waiting = Generator[None, Any, Any]
Column = list[int]


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """Where the times of a step's events go: a list for each segment of a request; none that is not kept."""

    taken: Sequence[Column]
    waits_for_slot: Sequence[Column]
    started: Sequence[Column]
    finished: Sequence[Column]
    has_slot: Sequence[Column]
    handed_on: Sequence[Column]
    replica: Sequence[Column]
    worker: Sequence[Column]


@dataclass(kw_only=True)
class Replica:
    """What the workers of a replica share."""

    plan: ReplicaPlan
    calendar: Calendar
    services: ServiceTimes
    costs: Costs
    lots: Lots
    """For the costs."""
    stamps: Stamps
    in_queues: Sequence[SimulatedQueue]
    """A message is taken from the first of them that has one."""
    out_queues: Sequence[SimulatedQueue]
    out_slots: Slots | None
    turn: Slots | None
    """None where the workers do not wait for each other."""
    resource: SharedResource | None
    demand: float
    """Of a call, on that resource."""
    lock: SharedResource | None
    """Of its process; None where its workers do not wait for each other."""
    locked: float
    """For what share of a call it is held."""
    cores: SharedResource | None
    """Of the machine; None where they have no limit."""
    host: float
    """How many of them a call on a GPU takes besides."""
    crowding: float
    """How much longer a call takes that begins while all of them are in use."""
    batches: bool
    timeout_ns: int
    most_rows: int
    """Of a message."""
    num_running: int

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes."""
        return not any(queue.num_writers for queue in self.in_queues)


class Worker:
    """One worker; `start` has it wait for its first message."""

    __slots__ = (
        "_at",
        "_held_until_ns",
        "_holding",
        "_number",
        "_select",
        "_since_ns",
        "_token",
        "_until_ns",
        "_waits_in",
        "resume",
    )

    def __init__(
        self, replica: Replica, number: int, select: Callable[[Batch], int], holding: Holding | None
    ) -> None:
        self._at, self._number, self._select, self._holding = replica, number, select, holding
        self._held_until_ns: int | None = None
        self._until_ns: int | None = None
        """Of the wait."""
        self._token, self._since_ns = 0, 0
        self._waits_in: list[deque[Worker]] = []
        """Of those that are open, of the first one its waiters, of the others its lookers."""
        self.resume = self._run().send

    def start(self) -> None:
        self.resume(None)

    def wake(self, message: Message) -> None:
        """A message has come: it looks when it is awake, and waits on where another was faster."""
        self._stop_waiting()
        at = self._at
        wake_ns = int(at.costs.wake.draw(at.lots.wake[message.pieces[0].request]))
        at.calendar.at(at.calendar.now_ns + wake_ns, self._look)

    def look_soon(self) -> None:
        """A message has come to a queue at which it looks now and then."""
        self._stop_waiting()
        calendar = self._at.calendar
        calendar.at(calendar.now_ns + (self._since_ns - calendar.now_ns) % LOOK_NS, self._look)

    def notice_the_end(self) -> None:
        """It waits, and to one of its queues nothing more comes."""
        self._stop_waiting()
        if self._at.is_closed:
            self._at.calendar.at(self._at.calendar.now_ns, self.resume, None)
        else:
            self._start_waiting()

    def _start_waiting(self) -> None:
        for queue in self._at.in_queues:
            if not queue.is_closed:
                waiting = queue.lookers if self._waits_in else queue.waiters
                waiting.append(self)
                self._waits_in.append(waiting)

    def _stop_waiting(self) -> None:
        for waiting in self._waits_in:
            waiting.remove(self)
        self._waits_in.clear()

    def _ready(self) -> SimulatedQueue | None:
        """The queue to take from."""
        for queue in self._at.in_queues:
            if queue.messages:
                return queue
        return None

    def _look(self, _: None) -> None:
        queue, now_ns = self._ready(), self._at.calendar.now_ns
        if queue is not None:
            message, wait_ns = queue.messages.popleft(), queue.readers.wait_ns(now_ns)
            if wait_ns:
                self._at.calendar.at(now_ns + wait_ns, self.resume, message)
            else:
                self.resume(message)
        elif self._at.is_closed or (self._until_ns is not None and self._until_ns <= now_ns):
            self.resume(None)
        else:
            self._start_waiting()

    def _time_out(self, token: int) -> None:
        if self._waits_in and token == self._token:
            self._stop_waiting()
            self.resume(None)

    def _run(self) -> Waiting:
        at = self._at
        while True:
            first = yield from self._next(self._held_until_ns)
            if first is not None:
                yield from self._serve_all((yield from self._gather(first)))
            elif at.is_closed:
                break
            else:
                yield from self._flush()
        while self._holding and self._holding.is_holding:
            yield from self._flush()
        at.num_running -= 1
        if not at.num_running:
            for out in at.out_queues:
                out.close()
        yield

    def _next(self, until_ns: int | None) -> Waiting:
        """The next message; None where none comes by then, or ever."""
        queue = self._ready()
        if queue is not None:
            message = queue.messages.popleft()
            yield from self._get_lock(queue.readers)
            return message
        if self._at.is_closed:
            return None
        calendar, self._token, self._until_ns = self._at.calendar, self._token + 1, until_ns
        if until_ns is not None:
            if until_ns <= calendar.now_ns:
                return None
            calendar.at(until_ns, self._time_out, self._token)
        self._since_ns = calendar.now_ns
        self._start_waiting()
        return (yield)

    def _get_lock(self, lock: Lock) -> Waiting:
        if wait_ns := lock.wait_ns(self._at.calendar.now_ns):
            self._at.calendar.at(self._at.calendar.now_ns + wait_ns, self.resume)
            yield

    def _gather(self, first: Message) -> Waiting:
        """The messages of the next calls: those that wait, and those that come in time."""
        at = self._at
        messages, pieces = [first], list(first.pieces)
        self._take(first)
        if at.plan.batch_size == 1 and at.plan.max_clips is None:
            return messages
        deadline_ns = at.calendar.now_ns + at.timeout_ns
        while self._has_room(pieces):
            message = yield from self._next(deadline_ns)
            if message is None:
                break
            self._take(message)
            messages.append(message)
            pieces += message.pieces
        return messages

    def _has_room(self, pieces: Sequence[Piece]) -> bool:
        plan = self._at.plan
        if plan.max_clips is None:
            return len(pieces) < plan.batch_size
        return sum(piece.rows for piece in pieces) + self._at.most_rows <= plan.max_clips

    def _take(self, message: Message) -> None:
        now_ns, stamps, replica = self._at.calendar.now_ns, self._at.stamps, self._at.plan.replica
        for request, segment, _ in message.pieces:
            stamps.taken[segment][request] = now_ns
            stamps.replica[segment][request] = replica
            stamps.worker[segment][request] = self._number

    def _serve_all(self, messages: Sequence[Message]) -> Waiting:
        at = self._at
        for call in _calls(messages, batches=at.batches):
            yield from self._serve(call)
        for message in messages:
            if message.slots is not None:
                message.slots.release()
        uniform = at.lots.rest[messages[0].pieces[0].request]
        if rest_ns := int(at.costs.rest.draw(uniform)):
            at.calendar.at(at.calendar.now_ns + rest_ns, self.resume)
            yield

    def _serve(self, call: Sequence[Sequence[Piece]]) -> Waiting:
        """One call of the step, with the pieces of each message."""
        at, calendar = self._at, self._at.calendar
        first = call[0][0]
        in_place = at.plan.writes_in_place
        if in_place:
            self._stamp(at.stamps.waits_for_slot, call, calendar.now_ns)
            yield from self._take_slot(first.request)
        if at.turn is not None and not at.turn.take(self.resume):
            yield
        rows = (
            first.rows if len(call) == 1 == len(call[0]) else sum(one.rows for part in call for one in part)
        )
        prepare_ns = int(at.costs.prepare.draw(at.lots.prepare[first.request]))
        self._stamp(at.stamps.started, call, calendar.now_ns + prepare_ns)
        if at.cores is not None and at.host:
            at.cores.take_away(at.host)
        slowdown = 1 + at.crowding * at.cores.load if at.cores is not None else 1.0
        self._work(prepare_ns + round(slowdown * at.services.call_ns(at.plan, rows, first.request)))
        yield
        if at.cores is not None and at.host:
            at.cores.take_away(-at.host)
        if at.turn is not None:
            at.turn.release()
        outputs = call if self._holding is None else self._holding.outputs(call)
        if self._holding is not None:
            self._held_until_ns = self._flush_time_ns(has_given=bool(outputs))
        for pieces in outputs:
            self._stamp(at.stamps.finished, [pieces], calendar.now_ns)
            yield from self._deliver(pieces, has_slot=in_place)

    def _take_slot(self, request: int) -> Waiting:
        """Who waits for one wakes up as late as who waits for a message does."""
        at = self._at
        assert at.out_slots is not None
        if at.out_slots.take(self.resume):
            return
        yield
        if wake_ns := int(at.costs.wake.draw(at.lots.wake[request])):
            at.calendar.at(at.calendar.now_ns + wake_ns, self.resume)
            yield

    def _work(self, work_ns: int) -> None:
        """Be resumed when so much work is done: on what is shared, and under the lock of the process."""
        at, resume = self._at, self.resume
        if at.lock is not None:
            resume = when_both(self.resume)
            at.lock.work(work_ns, at.locked, resume)
        if at.resource is None:
            at.calendar.at(at.calendar.now_ns + work_ns, resume)
        else:
            at.resource.work(work_ns, at.demand, resume)

    def _flush_time_ns(self, *, has_given: bool) -> int | None:
        """When what is held goes out: so long after the first of it came."""
        assert self._holding is not None
        if not self._holding.is_timed:
            return None
        if has_given or self._held_until_ns is None:
            return self._at.calendar.now_ns + self._at.timeout_ns
        return self._held_until_ns

    def _flush(self) -> Waiting:
        assert self._holding is not None
        self._held_until_ns = None
        for pieces in self._holding.flush():
            self._stamp(self._at.stamps.finished, [pieces], self._at.calendar.now_ns)
            yield from self._deliver(pieces, has_slot=False)

    def _deliver(self, pieces: Sequence[Piece], *, has_slot: bool) -> Waiting:
        """Each message into a slot, which is copied to when there is one, and into the queue."""
        at, calendar = self._at, self._at.calendar
        if not at.out_queues:
            return
        queue = (
            at.out_queues[0] if len(at.out_queues) == 1 else at.out_queues[self._select(_as_batch(pieces))]
        )
        request = pieces[0].request
        hand_on_ns = int(at.costs.hand_on.draw(at.lots.hand_on[request]))
        for segment, part in enumerate(_segments(pieces, at.plan.num_segments)):
            if at.out_slots is not None and not has_slot:
                yield from self._take_slot(request)
                if segment == 0:
                    self._stamp(at.stamps.has_slot, [pieces], calendar.now_ns)
            if hand_on_ns:
                self._work(hand_on_ns)
                yield
            yield from self._get_lock(queue.writers)
            if segment == 0:
                self._stamp(at.stamps.handed_on, [pieces], calendar.now_ns)
            queue.put(Message(part, at.out_slots))

    def _stamp(self, columns: Sequence[Column], call: Sequence[Sequence[Piece]], time_ns: int) -> None:
        for pieces in call:
            for request, segment, _ in pieces:
                columns[segment][request] = time_ns


def _calls(messages: Sequence[Message], *, batches: bool) -> Iterator[Sequence[Sequence[Piece]]]:
    """The calls that the messages make, each as the pieces of each message."""
    if batches:
        yield [message.pieces for message in messages]
    else:
        yield from ([(piece,)] for message in messages for piece in message.pieces)


def _segments(pieces: Sequence[Piece], num_segments: int) -> Iterator[tuple[Piece, ...]]:
    """What each segment of a message holds."""
    if num_segments == 1:
        yield tuple(pieces)
        return
    shares = split_rows([piece.rows for piece in pieces], num_segments)
    for segment in range(num_segments):
        yield tuple(
            Piece(piece.request, segment, share[segment]) for piece, share in zip(pieces, shares, strict=True)
        )


def _as_batch(pieces: Sequence[Piece]) -> Batch:
    """What a selector looks at: who is in it, and how many rows they have."""
    rows: Any = range(sum(piece.rows for piece in pieces))
    return Batch(
        requests=tuple(Request(piece.request, segment=piece.segment) for piece in pieces),
        tensors=(rows,),
        rows=tuple((piece.rows,) for piece in pieces),
    )
