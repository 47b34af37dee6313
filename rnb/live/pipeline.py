"""A pipeline that serves: `LivePipeline` of rnb/live/asking.py, as the event loop has it.

    serve() ─▶ a row of the table ─▶ filename queue ─▶ replicas ─▶ an outlet each ─▶ the future of the request

The loop owns all that is said of requests: rows, futures, the ledger. rnb/live/driver.py owns the processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rnb.contract.events import DUE, SENT, Event
from rnb.contract.request import Request
from rnb.contract.result import ClassAndScore, decode
from rnb.contract.sequence import END, ID, START
from rnb.live.asking import Answer, Ask, Histogram, NotServed, StepInfo, StepStatistics, Why
from rnb.live.driver import Driver, Joined
from rnb.live.ledger import Ledger
from rnb.live.part import origin_of
from rnb.live.part_writer import Keeping, PartWriter
from rnb.live.payload_file import PayloadFile, PayloadFiles
from rnb.live.settings import Serving
from rnb.live.table import LONG_AGO_NS, NEVER_NS, Outcome, class_and_score
from rnb.live.tally import Tally
from rnb.pipeline.plan import Plan
from rnb.record.run_folder import create_served
from rnb.spec import RunSpec, serving_plan_of
from rnb.transport.clock import now_ns
from rnb.transport.fabric import QueueFull
from rnb.transport.local.outlet import Collector, Record
from rnb.transport.message import Message

LEDGER_SIZE = 1000
"""Requests are counted and kept so many at a time, so that the loop is never held up for long."""
MOST_PART_BYTES = 64 << 20
"""Of results and names; a part with more of them ends early."""


@dataclass(slots=True)
class _Pending:
    """A request that is inside."""

    future: asyncio.Future[Answer] | None
    """None: nobody waits for it any more."""
    file: PayloadFile | None
    ask: Ask
    timer: asyncio.TimerHandle | None = None
    why: Why = Why.LATE
    """Why nobody waits, where that is so."""


class Pipeline:
    """Made by `Pipeline.start`."""

    @classmethod
    async def start(
        cls,
        spec: RunSpec,
        serving: Serving | None = None,
        *,
        name: str = "",
        warn: Callable[[str], None] = lambda line: None,
    ) -> Pipeline:
        """Start all processes, and wait until they are ready. Cancelling it ends them.

        Args:
            name: what clients call it; '': as its config file.
            warn: is called with lines that its user should see at once.

        Raises:
            UsageError: it cannot start as asked, or not on this machine.
            StartFailed: a process failed.
        """
        pipeline = cls(spec, serving or Serving(), name, warn)
        await pipeline._get_ready()
        return pipeline

    def __init__(self, spec: RunSpec, serving: Serving, name: str, warn: Callable[[str], None]) -> None:
        self._spec, self._serving, self._warn = spec, serving, warn
        self._name = name or spec.config.name.removesuffix(".json")
        self._plan = plan = serving_plan_of(spec, most_pending=serving.max_pending)
        self._loop = asyncio.get_running_loop()
        self._driver = Driver(
            spec=spec,
            plan=plan,
            num_rows=serving.max_pending,
            watcher=self,
            call=self._call_soon,
        )
        self._table = self._driver.table
        self._steps = steps_of(plan)
        self._num_rows = serving.max_pending
        self._free = list(reversed(range(self._num_rows)))
        self._next_ids = list(range(self._num_rows))
        self._pending: dict[int, _Pending] = {}
        """By row."""
        self._files = PayloadFiles()
        self._places = {event: place for place, event in enumerate(plan.events)}
        self._columns = plan.events.index(DUE), plan.events.index(SENT)
        self._tally = Tally(self._name, [step.name for step in self._steps], plan.events)
        self.folder = None if serving.logs is None else create_served(serving.logs, self._name)
        """Where what is served is kept; None: nowhere."""
        self._parts: PartWriter | None = None
        self._part_timer: asyncio.TimerHandle | None = None
        self._ledger = Ledger(self._table, self._ledger_size(0))
        self._num_tallied = self._num_in_part = self._part_bytes = 0
        self._collectors: dict[int, Collector] = {}
        self._joined: Joined | None = None
        self._started: asyncio.Future[Joined] = self._loop.create_future()
        self._ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._is_ending = False
        self._away: frozenset[int] = frozenset()
        self._given_up: set[int] = set()
        self._broken = ""
        """Why nothing can be served any more; empty: it can."""
        self._idle = asyncio.Event()
        self._idle.set()

    def _make_parts(self, joined: Joined) -> PartWriter | None:
        if self.folder is None:
            return None
        origin = origin_of(self._spec, self._plan, mps=joined.sharing, replicas=joined.described)
        keeping = Keeping(folder=self.folder, origin=origin, keep=self._serving.keep_parts)
        return PartWriter(self._driver.fabric, keeping, warn=partial(self._call_soon, self._warn))

    def _call_soon(self, call: Callable[..., None], *args: Any) -> None:
        """Have the loop call something, from any thread."""
        with contextlib.suppress(RuntimeError):  # it is closed: nobody waits for anything any more
            self._loop.call_soon_threadsafe(call, *args)

    async def _get_ready(self) -> None:
        self._driver.start()
        try:
            both: list[asyncio.Future[Any]] = [self._started, self._ended]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._driver.stop()
            await self._ended
            self._remove_empty_folder()
            raise
        if not self._started.done():
            self._remove_empty_folder()
            if (error := self._ended.result()) is not None:
                raise error

    def _remove_empty_folder(self) -> None:
        if self.folder is not None:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    # ---------------------------------------------------------------- what it is

    @property
    def name(self) -> str:
        return self._name

    @property
    def steps(self) -> Sequence[StepInfo]:
        return self._steps

    @property
    def is_ready(self) -> bool:
        if self._joined is None or self._is_ending or self._broken or self._ended.done():
            return False
        serving = {
            replica.step for number, replica in enumerate(self._plan.replicas) if number not in self._away
        }
        return len(serving) == self._plan.num_steps

    @property
    def failure(self) -> str:
        if self._ended.done() and (error := self._ended.result()) is not None:
            return str(error)
        return self._broken

    @property
    def num_pending(self) -> int:
        return len(self._pending)

    @property
    def queue_depths(self) -> Sequence[int]:
        if self._joined is None:
            return [0] * self._plan.num_steps
        feeding = [
            {replica.in_queue for replica in self._plan.replicas if replica.step == step}
            for step in range(self._plan.num_steps)
        ]
        return [sum(self._joined.queues[queue].depth() for queue in queues) for queues in feeding]

    def statistics(self) -> Mapping[str, StepStatistics]:
        self._count()
        return self._tally.statistics(self._driver.fabric.clock.epoch_offset_ns())

    def histograms(self) -> Mapping[str, Histogram]:
        self._count()
        return self._tally.histograms()

    # ---------------------------------------------------------------- requests

    async def serve(self, ask: Ask) -> Answer:
        future, request_id = self._take_in(ask)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(request_id, Why.CANCELLED)
            raise

    def _take_in(self, ask: Ask) -> tuple[asyncio.Future[Answer], int]:
        came_ns = now_ns()
        joined = self._joined
        if self._is_ending or joined is None or self._ended.done():
            raise NotServed(Why.CLOSED, "the pipeline is ending" if self._is_ending else "it is not ready")
        if self._broken:
            raise NotServed(Why.FAILED, self._broken)
        if ask.deadline_ns is not None and ask.deadline_ns <= came_ns:
            raise NotServed(Why.LATE, "its deadline had passed when it came")
        parameters = checked_parameters(ask.parameters)
        if not self._free:
            raise NotServed(Why.BUSY, f"{self._num_rows} requests are inside already")
        payload, file = self._payload_of(ask)
        row = self._free.pop()
        request_id = self._next_ids[row]
        self._next_ids[row] += self._num_rows
        self._table.admit(request_id, NEVER_NS if ask.deadline_ns is None else ask.deadline_ns)
        times, (due, sent) = self._table.times, self._columns
        times[row, due] = came_ns
        times[row, sent] = now_ns()
        try:
            message = Message(None, (Request(request_id, payload, parameters=parameters),), ((),))
            joined.queues[0].put(message)
        except (QueueFull, ValueError) as error:
            self._table.dismiss(row)
            self._free.append(row)
            if file is not None:
                self._files.let_go(file)
            why = Why.BUSY if isinstance(error, QueueFull) else Why.BAD
            raise NotServed(why, f"it cannot be queued: {error}") from None
        pending = _Pending(self._loop.create_future(), file, ask)
        self._pending[row] = pending
        self._idle.clear()
        if ask.deadline_ns is not None:
            wait_s = (ask.deadline_ns - came_ns) / 1e9
            pending.timer = self._loop.call_later(wait_s, self._leave, request_id, Why.LATE)
        assert pending.future is not None
        return pending.future, request_id

    def _payload_of(self, ask: Ask) -> tuple[str, PayloadFile | None]:
        if isinstance(ask.payload, str):
            return ask.payload, None
        try:
            file = self._files.hold(ask.payload)
        except OSError as error:
            raise NotServed(Why.BUSY, f"its bytes cannot be kept: {error.strerror}") from None
        return file.path, file

    def _leave(self, request_id: int, why: Why) -> None:
        """Nobody waits for a request any more: a worker that takes it is to drop it."""
        row = self._table.row_of(request_id)
        if row is None:
            return
        pending = self._pending[row]
        self._table.deadlines_ns[row] = LONG_AGO_NS
        if pending.future is None:
            return
        pending.why = why
        if not pending.future.done():
            pending.future.set_exception(NotServed(why, "its deadline passed before it was served"))
        pending.future = None

    def _hear(self, collector: Collector) -> None:
        """Some replicas have told what became of requests."""
        if collector.is_closed:
            return
        for record in collector.receive():
            self._answer(record)
        if collector.has_ended:
            self._loop.remove_reader(collector.fileno())
            collector.close()

    def _hear_all(self, collector: Collector) -> None:
        """What one has told that has ended."""
        while not collector.is_closed:
            self._hear(collector)
            if collector.is_dry:
                return

    def _answer(self, record: Record) -> None:
        row = self._table.row_of(record.key)
        if row is None:
            return
        ended_ns = now_ns()
        outcome, data = record.kind, record.data
        result: bytes | ClassAndScore = class_and_score(data) if outcome == Outcome.CLASS else data
        is_served = outcome <= Outcome.RESULT
        pending = self._pending.pop(row)
        reason = "" if is_served else self._reason(outcome, data, pending)
        future = pending.future
        if future is not None and not future.done():
            if is_served:
                future.set_result(self._answer_of(row, result))
            else:
                future.set_exception(NotServed(_WHY.get(outcome, pending.why), reason))
        ask = pending.ask
        self._ledger.add(
            self._table,
            row,
            outcome,
            ended_ns,
            payload=ask.payload if isinstance(ask.payload, str) else f"{len(ask.payload)} bytes{ask.suffix}",
            result=result if is_served else b"",
            reason=reason,
            trace_id=ask.trace_id,
            sequence=ask.parameters.get(ID),
        )
        self._free_row(row, pending)

    def _free_row(self, row: int, pending: _Pending) -> None:
        self._table.dismiss(row)
        self._free.append(row)
        if pending.timer is not None:
            pending.timer.cancel()
        if pending.file is not None:
            self._files.let_go(pending.file)
        if not self._pending:
            self._idle.set()
        if self._ledger.is_full:
            self._turn_page()

    def _reason(self, outcome: int, data: bytes, pending: _Pending) -> str:
        if outcome == Outcome.DROPPED:
            return "whoever asked has gone" if pending.why is Why.CANCELLED else "its deadline passed"
        reason = data.decode(errors="replace")
        return reason if pending.file is None else reason.replace(pending.file.path, "the request")

    def _answer_of(self, row: int, result: bytes | ClassAndScore) -> Answer:
        times_ns = EventTimes(self._places, self._table.times[row].tolist())
        if isinstance(result, bytes):
            return Answer(result=decode(result) if result else None, times_ns=times_ns)
        names = self._plan.class_names
        name = names[result.label] if 0 <= result.label < len(names) else None
        return Answer(result=result, times_ns=times_ns, class_name=name)

    def _count(self) -> None:
        self._tally.count(self._ledger, self._num_tallied)
        self._num_tallied = self._ledger.num_requests

    def _ledger_size(self, num_in_part: int) -> int:
        return min(LEDGER_SIZE, self._serving.log_part - num_in_part)

    def _turn_page(self, *, is_last: bool = False) -> None:
        """Count and keep what the ledger has, and begin a new one; `is_last`: the part ends with it."""
        self._count()
        ledger = self._ledger
        self._num_in_part += ledger.num_requests
        self._part_bytes += ledger.num_bytes
        is_last = is_last or self._num_in_part >= self._serving.log_part or self._part_bytes > MOST_PART_BYTES
        if is_last:
            self._num_in_part = self._part_bytes = 0
        if self._parts is not None:
            self._parts.hand_over(ledger, is_last=is_last)
        self._ledger = Ledger(self._table, self._ledger_size(self._num_in_part))
        self._num_tallied = 0
        if is_last:
            self._time_part()

    def _time_part(self) -> None:
        if self._part_timer is not None:
            self._part_timer.cancel()
        end = partial(self._turn_page, is_last=True)
        self._part_timer = self._loop.call_later(60 * self._serving.log_minutes, end)

    # ---------------------------------------------------------------- told by the driver

    def listen(self, replica: int, collector: Collector) -> None:
        self._collectors[replica] = collector
        self._loop.add_reader(collector.fileno(), partial(self._hear, collector))

    def has_started(self, joined: Joined) -> None:
        self._joined = joined
        self._parts = self._make_parts(joined)
        self._time_part()
        if not self._started.done():
            self._started.set_result(joined)

    def has_ended(self, error: BaseException | None) -> None:
        for collector in self._collectors.values():
            self._hear_all(collector)
        text = str(error) if error else "the pipeline has ended"
        why = Why.FAILED if error else Why.CLOSED
        self._fail_all(why, text)
        self._turn_page(is_last=True)
        if self._part_timer is not None:
            self._part_timer.cancel()
        self._files.close()
        self._ended.set_result(error)

    def has_lost(self, replica: int, request_ids: Sequence[int], reason: str) -> None:
        self._away |= {replica}
        self._hear_all(self._collectors[replica])  # what it told before it died
        self._warn(reason)
        for request_id in request_ids:
            self._lose(request_id, Why.FAILED, reason)

    def has_away(self, replicas: frozenset[int]) -> None:
        self._away = replicas

    def has_given_up(self, replica: int, reason: str) -> None:
        self._given_up.add(replica)
        self._warn(f"{self._plan.replicas[replica].name} is given up, as it died again and again")
        if self._is_missed(replica):
            self._broken = f"{reason}, again and again"
            self._fail_all(Why.FAILED, self._broken)

    def _is_missed(self, replica: int) -> bool:
        """Whether nobody takes the messages of one that is given up."""
        in_queue = self._plan.replicas[replica].in_queue
        readers = {number for number, one in enumerate(self._plan.replicas) if one.in_queue == in_queue}
        return self._plan.queues[in_queue].keeps_sequences or readers <= self._given_up

    def _fail_all(self, why: Why, reason: str) -> None:
        for row in list(self._pending):
            self._lose(self._table.ids[row], why, reason)

    def _lose(self, request_id: int, why: Why, reason: str) -> None:
        """Answer a request that no replica answers any more."""
        row = self._table.row_of(request_id)
        if row is None:
            return
        future = self._pending[row].future
        if future is not None and not future.done():
            future.set_exception(NotServed(why, reason))
        self._answer(Record(request_id, Outcome.LOST, reason.encode(errors="replace")))

    # ---------------------------------------------------------------- the end

    async def drain(self, grace_s: float) -> bool:
        deadline = time.monotonic() + grace_s
        self._is_ending = True
        in_time = await _within(self._idle.wait(), deadline)
        (self._driver.end if in_time else self._driver.stop)()
        in_time = await _within(asyncio.shield(self._ended), deadline) and in_time
        self._driver.stop()
        await self._ended
        await self._loop.run_in_executor(None, self._join)
        return in_time

    def _join(self) -> None:
        self._driver.join()
        if self._parts is not None:
            self._parts.end()
        self._remove_empty_folder()


_WHY: dict[int, Why] = {Outcome.BAD: Why.BAD, Outcome.LOST: Why.FAILED}


class EventTimes(Mapping[Event, int]):
    """When a request reached each event that it reached."""

    def __init__(self, places: Mapping[Event, int], times_ns: Sequence[int]) -> None:
        self._places, self._times_ns = places, times_ns

    def __getitem__(self, event: Event) -> int:
        if time_ns := self._times_ns[self._places[event]]:
            return time_ns
        raise KeyError(event)

    def __iter__(self) -> Iterator[Event]:
        return (event for event, place in self._places.items() if self._times_ns[place])

    def __len__(self) -> int:
        return sum(map(bool, self._times_ns))


async def _within(awaited: Any, deadline: float) -> bool:
    """Wait until a time of time.monotonic; whether it came before that."""
    try:
        await asyncio.wait_for(awaited, max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return False
    return True


def checked_parameters(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Those that a step may rely on. Raises NotServed."""
    told = dict(parameters)
    sequence = told.get(ID)
    if sequence is not None and (isinstance(sequence, bool) or not isinstance(sequence, int | str)):
        raise NotServed(Why.BAD, f"{ID} is {sequence!r}: it must be a whole number or a text")
    for name in (START, END):
        if not isinstance(told.get(name, False), bool):
            raise NotServed(Why.BAD, f"{name} is {told[name]!r}: it must be true or false")
    return told or None


def steps_of(plan: Plan) -> tuple[StepInfo, ...]:
    """The steps of a plan as models of their own."""
    return tuple(
        StepInfo(
            name=f"{plan.step_names[step]}-{step}",
            model=replicas[0].model,
            max_batch_size=max(one.batch_size for one in replicas),
            devices=tuple(str(one.device) for one in replicas),
            is_stateful=plan.step_types[step].stateful,
        )
        for step in range(plan.num_steps)
        if (replicas := [one for one in plan.replicas if one.step == step])
    )
