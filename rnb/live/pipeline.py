"""A pipeline that serves: `LivePipeline` of rnb/live/asking.py, as the event loop has it.

    serve() ─▶ a row of the table ─▶ filename queue ─▶ replicas ─▶ an outlet each ─▶ the future of the request

The loop owns all that is said of requests: rows, futures, the ledger. rnb/live/driver.py owns the processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rnb.contract.events import DUE, SENT
from rnb.contract.request import Request
from rnb.contract.result import ClassAndScore, decode
from rnb.contract.sequence import ID
from rnb.live.asking import Answer, Ask, Histogram, NotServed, StepInfo, StepStatistics, Why
from rnb.live.books import Books
from rnb.live.driver import Driver, Joined
from rnb.live.event_times import EventTimes
from rnb.live.parameters import checked_parameters
from rnb.live.part import origin_of
from rnb.live.part_writer import Keeping, PartWriter
from rnb.live.rows import Pending, Rows
from rnb.live.settings import Serving
from rnb.live.step_info import steps_of
from rnb.live.table import Outcome, class_and_score
from rnb.live.tally import Tally
from rnb.record.run_folder import create_served
from rnb.spec import RunSpec, serving_plan_of
from rnb.transport.clock import now_ns
from rnb.transport.fabric import Queue, QueueFull
from rnb.transport.local.outlet import Collector, Record
from rnb.transport.message import Message


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
        self._rows = Rows(self._table)
        tally = Tally(self._name, [step.name for step in self._steps], plan.events)
        self._books = Books(self._table, tally, serving, self._driver.fabric.clock)
        self._places = {event: place for place, event in enumerate(plan.events)}
        self.folder = None if serving.logs is None else create_served(serving.logs, self._name)
        """Where what is served is kept; None: nowhere."""
        due, sent = self._table.stamp(DUE), self._table.stamp(SENT)
        assert due is not None
        assert sent is not None
        self._due, self._sent = due, sent
        self._collectors: dict[int, Collector] = {}
        self._joined: Joined | None = None
        self._started: asyncio.Future[Joined] = self._loop.create_future()
        self._ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._is_ending = False
        self._away: frozenset[int] = frozenset()
        self._given_up: set[int] = set()
        self._broken = ""
        """Why nothing can be served any more; empty: it can."""

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
    def replicas(self) -> Sequence[dict[str, Any]]:
        """As run.json has them, with the processes that they had at the start."""
        return () if self._joined is None else self._joined.described

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
    def max_pending(self) -> int:
        return self._table.num_requests

    @property
    def num_pending(self) -> int:
        return len(self._rows)

    @property
    def queue_depths(self) -> Sequence[int]:
        if self._joined is None:
            return [0] * self._plan.num_steps
        return [
            sum(self._joined.queues[queue].depth() for queue in self._plan.queues_before(step))
            for step in range(self._plan.num_steps)
        ]

    def statistics(self) -> Mapping[str, StepStatistics]:
        return self._books.statistics()

    def histograms(self) -> Mapping[str, Histogram]:
        return self._books.histograms()

    # ---------------------------------------------------------------- requests

    async def serve(self, ask: Ask) -> Answer:
        came_ns = now_ns()
        queue = self._open_queue()
        if ask.deadline_ns is not None and ask.deadline_ns <= came_ns:
            raise NotServed(Why.LATE, "its deadline had passed when it came")
        parameters = checked_parameters(ask.parameters)
        if self._rows.is_full:
            raise NotServed(Why.BUSY, f"{self._table.num_requests} requests are inside already")
        future: asyncio.Future[Answer] = self._loop.create_future()
        try:
            pending = self._rows.take(ask, future)
        except OSError as error:
            raise NotServed(Why.BUSY, f"its bytes cannot be kept: {error.strerror}") from None
        self._send(pending, parameters, came_ns, queue)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(pending.id, Why.CANCELLED)
            raise

    def _open_queue(self) -> Queue:
        """That of the first step; raises NotServed where nothing is taken now."""
        if self._is_ending:
            raise NotServed(Why.CLOSED, "the pipeline is ending")
        if self.failure:
            raise NotServed(Why.FAILED, self.failure)
        if self._joined is None:
            raise NotServed(Why.CLOSED, "it is not ready")
        return self._joined.queues[0]

    def _send(self, pending: Pending, parameters: dict[str, Any] | None, came_ns: int, queue: Queue) -> None:
        request, deadline_ns = Request(pending.id, pending.payload, 0, 1, parameters), pending.ask.deadline_ns
        self._due(request, came_ns)
        self._sent(request, came_ns)  # nobody else decided when it is due, so nobody is late
        try:
            queue.put(Message(None, (request,), ((),)))
        except BaseException as error:
            self._rows.free(pending.id)
            if isinstance(error, QueueFull):
                raise NotServed(Why.BUSY, f"{error} is full") from None
            if isinstance(error, ValueError):
                raise NotServed(Why.BAD, str(error)) from None
            raise
        if deadline_ns is not None:
            wait_s = (deadline_ns - came_ns) / 1e9
            pending.timer = self._loop.call_later(wait_s, self._leave, pending.id, Why.LATE)

    def _leave(self, request_id: int, why: Why) -> None:
        """Nobody waits for a request any more: a worker that takes it is to drop it."""
        pending = self._rows.get(request_id)
        if pending is None or pending.future is None:
            return
        self._table.expire(request_id)
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
        request_id, outcome, data = record
        pending = self._rows.get(request_id)
        if pending is None:
            return
        ended_ns, row = now_ns(), request_id % self._table.num_requests
        result: bytes | ClassAndScore = b""
        reason = ""
        if outcome <= Outcome.RESULT:
            result = class_and_score(data) if outcome == Outcome.CLASS else data
        else:
            reason = _reason(outcome, data, pending)
        future = pending.future
        if future is not None and not future.done():
            if reason:
                future.set_exception(NotServed(_WHY.get(outcome, pending.why), reason))
            else:
                future.set_result(self._answer_of(row, result))
        self._books.add(
            row,
            outcome,
            ended_ns,
            payload=pending.title,
            result=result,
            reason=reason,
            trace_id=pending.ask.trace_id,
            sequence=pending.ask.parameters.get(ID),
        )
        self._rows.free(request_id)

    def _answer_of(self, row: int, result: bytes | ClassAndScore) -> Answer:
        times_ns = EventTimes(self._places, self._table.times[row].tolist())
        if isinstance(result, bytes):
            return Answer(result=decode(result) if result else None, times_ns=times_ns)
        names = self._plan.class_names
        name = names[result.label] if 0 <= result.label < len(names) else None
        return Answer(result=result, times_ns=times_ns, class_name=name)

    # ---------------------------------------------------------------- told by the driver

    def listen(self, replica: int, collector: Collector) -> None:
        self._collectors[replica] = collector
        self._loop.add_reader(collector.fileno(), partial(self._hear, collector))

    def has_started(self, joined: Joined) -> None:
        self._joined = joined
        try:
            parts = self._make_parts(joined)
        except OSError as error:
            parts = None
            self._warn(f"{self.folder}: what is served is not kept: {error.strerror}")
        self._books.begin(parts)
        if not self._started.done():
            self._started.set_result(joined)

    def has_ended(self, error: BaseException | None) -> None:
        try:
            for collector in self._collectors.values():
                self._hear_all(collector)
            text = str(error) if error else "the pipeline has ended"
            self._fail_all(Why.FAILED if error else Why.CLOSED, text)
            self._books.end()
            self._rows.close()
        finally:
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
        """Whether nobody takes some of the messages of one that is given up."""
        return any(
            self._plan.queues[queue].keeps_sequences
            or {number for number, one in enumerate(self._plan.replicas) if queue in one.in_queues}
            <= self._given_up
            for queue in self._plan.replicas[replica].in_queues
        )

    def _fail_all(self, why: Why, reason: str) -> None:
        for request_id in self._rows.ids:
            self._lose(request_id, why, reason)

    def _lose(self, request_id: int, why: Why, reason: str) -> None:
        """Answer a request that no replica answers any more."""
        pending = self._rows.get(request_id)
        if pending is None:
            return
        if pending.future is not None and not pending.future.done():
            pending.future.set_exception(NotServed(why, reason))
        self._answer(Record(request_id, Outcome.LOST, reason.encode(errors="replace")))

    # ---------------------------------------------------------------- the end

    async def drain(self, grace_s: float) -> bool:
        deadline = time.monotonic() + grace_s
        self._is_ending = True
        in_time = await _within(self._rows.idle.wait(), deadline)
        (self._driver.end if in_time else self._driver.stop)()
        in_time = await _within(asyncio.shield(self._ended), deadline) and in_time
        self._driver.stop()
        await self._ended
        await self._loop.run_in_executor(None, self._join)
        return in_time

    def _join(self) -> None:
        self._driver.join()
        self._books.wait_until_written()
        self._remove_empty_folder()


_WHY: dict[int, Why] = {Outcome.BAD: Why.BAD, Outcome.LOST: Why.FAILED}


def _reason(outcome: int, data: bytes, pending: Pending) -> str:
    """Why a request has no result, in words for whoever sent it."""
    if outcome == Outcome.DROPPED:
        return "whoever asked has gone" if pending.why is Why.CANCELLED else "its deadline passed"
    reason = data.decode(errors="replace") or "no reason is told"
    return reason if pending.file is None else reason.replace(pending.file.path, "the request")


async def _within(awaited: Any, deadline: float) -> bool:
    """Wait until a time of time.monotonic; whether it came before that."""
    try:
        await asyncio.wait_for(awaited, max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return False
    return True
