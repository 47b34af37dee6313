"""One thread of a runner: a step instance, and what leads to it and away from it.

input queue -> intake -> assembly -> step -> delivery -> slots and output queue, or where results go
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rnb.contract.events import DUE, Event, EventKind
from rnb.contract.request import Batch, OutputError, Request, RequestError
from rnb.contract.sequence import StatefulStep, point_of
from rnb.contract.step import Context
from rnb.pipeline.plan import ReplicaPlan
from rnb.pipeline.selectors import make_selector
from rnb.pipeline.step_type import resolve
from rnb.processes.assembly import Assembly
from rnb.processes.computing import Computing
from rnb.processes.delivery import Delivery, ResultDelivery, SlotDelivery
from rnb.processes.gpu_memory import describe, explain, explained
from rnb.processes.holding import Holding
from rnb.processes.intake import Intake, Piece
from rnb.processes.jobs import LOST, JobRules, Retired
from rnb.processes.memory import MemoryWatch
from rnb.processes.sequence_states import SequenceStates
from rnb.processes.sharing import Shared
from rnb.processes.slowness import Slowdown, Slowness
from rnb.processes.start_up import StartUp
from rnb.transport.clock import now_ns, sleep_precisely
from rnb.transport.fabric import (
    EndOfStream,
    Inlet,
    Log,
    Pool,
    ReadingEnd,
    SlotsLost,
    Stamp,
    Stop,
    Table,
    WritingEnd,
)

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the workers of a replica share."""

    plan: ReplicaPlan
    stop: Stop
    table: Table
    in_queue: ReadingEnd
    out_queues: tuple[WritingEnd, ...]
    in_pools: dict[int, Pool]
    out_pool: Pool | None
    batch_timeout_ms: float
    poll_s: float
    """How long a worker that waits for a message looks often; see Queue.take."""
    num_threads: int
    """Of torch, for each worker."""
    context: Context
    max_lateness_ns: int | None = None
    """A request that comes later than that after it was due is dropped; None: none is."""
    slowdowns: tuple[Slowdown, ...] = ()
    """Of --fault slow."""
    number: int = 0
    """The replica's place in the plan."""
    memory: Log | None = None
    """Where goes what it holds after each call; None: nowhere."""
    jobs: JobRules | None = None
    """None: a request that fails has failed, and a process that dies ends the run."""


class Worker:
    """Serves requests, one gathering after the other."""

    def __init__(
        self,
        around: Surroundings,
        number: int,
        turn: threading.Lock,
        shared: Shared,
        start_up: StartUp,
        in_queue: Inlet | None = None,
    ) -> None:
        """`in_queue`: what it takes from, where that is not the queue itself."""
        self._around, self._plan, self._number = around, around.plan, number
        self._phase = partial(start_up.phase, worker=number)
        with self._phase("import"):
            self._type = resolve(around.plan.model)
        with self._phase("stream"):  # the first one makes CUDA's context
            self._computing = Computing(
                self._plan.device, num_threads=around.num_threads, needs_torch=self._type.needs_torch
            )
        with self._computing.current(), explained("out of GPU memory in the constructor"):
            takes_turns = self._plan.device.is_gpu and self._type.takes_turns
            with self._phase("constructor"):
                self._step = self._type.make(
                    self._plan.options, self._context(shared if takes_turns else None)
                )
        self._turn: Any = turn if takes_turns else contextlib.nullcontext()
        self._holding = Holding(joins=self._type.joins_segments) if self._type.regroups else None
        self._memory = self._watch_memory()
        self._failures = around.jobs.sink(around.table) if around.jobs else around.table
        self._fail = self._failures.fail
        self._sequences = self._sequence_states()
        self._intake = Intake(
            in_queue or around.in_queue,
            around.stop,
            batch_size=self._plan.batch_size,
            timeout_ms=around.batch_timeout_ms,
            max_clips=self._plan.max_clips,
            most_rows=tuple(spec.most_rows for spec in self._plan.inputs),
            poll_s=around.poll_s,
        )
        if around.poll_s:
            sleep_precisely()
        taken, started, finished = map(self._stamp, (EventKind.TAKEN, EventKind.STARTED, EventKind.FINISHED))
        assert taken
        assert started
        assert finished
        self._taken, self._started, self._finished = taken, started, finished
        self._waits_for_slot = self._stamp(EventKind.WAITS_FOR_SLOT)
        self._delivery = self._make_delivery()
        self._due_ns = around.table.column(DUE)
        self._held_until_ns: int | None = None
        self._slowness = Slowness((), 0)

    def _context(self, shared: Shared | None) -> Context:
        table = self._around.table
        context = replace(
            self._around.context,
            note=table.note,
            note_size=table.note_size,
            note_codec=table.note_codec,
            phase=self._phase,
        )
        if shared is None:
            return context
        return replace(context, share=partial(shared, settle=self._computing.synchronize))

    def _sequence_states(self) -> SequenceStates | None:
        if not isinstance(self._step, StatefulStep):
            return None
        jobs = self._around.jobs
        return SequenceStates(self._step, self._fail, is_replaceable=jobs is not None and jobs.is_replaceable)

    def _watch_memory(self) -> MemoryWatch | None:
        log, limit_mb = self._around.memory, self._plan.memory_limit_mb
        if log is None and limit_mb is None:
            return None
        return MemoryWatch(
            self._plan.device,
            log=log,
            number=self._around.number,
            limit_mb=limit_mb,
            outcomes=self._around.table.outcomes,
        )

    def _stamp(self, kind: EventKind) -> Stamp | None:
        return self._around.table.stamp(Event(kind, self._plan.step))

    def _make_delivery(self) -> Delivery:
        around = self._around
        if not around.out_queues:
            return ResultDelivery(self._step, around.table, fail=self._fail)
        return SlotDelivery(
            pool=around.out_pool,
            pool_index=self._plan.out_pool,
            queues=around.out_queues,
            select=make_selector(self._plan.selector, len(around.out_queues), around.out_queues),
            num_segments=self._plan.num_segments,
            has_slot=self._stamp(EventKind.HAS_SLOT),
            handed_on=self._stamp(EventKind.HANDED_ON),
        )

    def warm_up(self) -> None:
        """Make the input buffers, and run every batch size that can occur, before anything is timed."""
        with self._computing.current(), self._phase("warm-up"):
            self._assembly = Assembly(
                self._around.in_pools,
                self._plan.device,
                inputs=self._plan.inputs,
                most_rows=self._plan.most_rows,
                in_place=self._type.reads_in_place,
            )
            rows, shapes = self._plan.most_rows, tuple(spec.shape for spec in self._plan.inputs)
            with explained(f"out of GPU memory in the warm-up with up to {rows} rows of {shapes}"):
                self._step.warm_up(range(1, rows + 1))
            self._computing.synchronize()

    def facts(self) -> dict[str, Any]:
        """What the step tells of itself."""
        with self._computing.current():
            return self._step.facts()

    def run(self, start_ns: int = 0) -> bool:
        """Serve requests until the stream ends; the timed part begins at `start_ns`.

        False: it has not ended, but another process is to go on with it.
        """
        self._slowness = Slowness(self._around.slowdowns, start_ns)
        with self._computing.current():
            has_ended = self._serve_until_end()
            while self._flush():
                pass
            if self._holding is not None:
                self._holding.check_empty(self._around.table.has_failed)
            self._computing.synchronize()
            self._step.close()
        return has_ended

    def _serve_until_end(self) -> bool:
        try:
            while True:
                pieces = self._intake.gather(self._wakes_ns())
                if pieces:
                    self._serve_all(pieces)
                elif self._sequences is None:
                    self._flush()
                if self._sequences is not None:
                    self._sequences.expire()
        except Retired:
            return False
        except EndOfStream:
            return True

    def _serve_all(self, pieces: list[Piece]) -> None:
        table, plan = self._around.table, self._plan
        wanted = [piece for piece in pieces if table.is_wanted(piece.request)]
        for piece in wanted:
            self._taken(piece.request, piece.taken_ns)
            table.record_taken(plan.step, piece.request, replica=plan.replica, worker=self._number)
        for call in self._calls(wanted) if wanted else ():
            self._serve(call)
        if self._sequences is not None and len(wanted) < len(pieces):
            self._sequences.conclude([piece for piece in pieces if piece not in wanted])
        # Only now has everything that reads the input slots run.
        self._computing.synchronize()
        for slot in {piece.slot for piece in pieces if piece.slot is not None}:
            self._around.in_pools[slot.pool].release(slot.number)
        if self._memory is not None:
            self._memory.look(pieces)

    def _wakes_ns(self) -> int | None:
        """When there is something to do though nothing comes."""
        return self._held_until_ns if self._sequences is None else self._sequences.next_timeout_ns

    def _calls(self, pieces: list[Piece]) -> Iterator[list[Piece]]:
        """The pieces of each call of the step."""
        batches = self._type.batches_requests
        if self._sequences is None:
            yield from [pieces] if batches else [[piece] for piece in pieces]
            return
        for call in self._sequences.calls(pieces, batches=batches):
            if admitted := self._sequences.admit(call):
                yield admitted
            self._sequences.conclude(call)

    def _serve(self, pieces: list[Piece]) -> None:
        """Call the step once, and again without the requests that it says have failed."""
        slot = self._take_slot(pieces) if self._plan.writes_in_place else None
        pieces = self._in_time(pieces)
        while pieces:
            try:
                batch = self._batch(pieces)
                output, finished_ns = self._call(batch, slot)
            except RequestError as error:
                pieces = self._drop_failed(pieces, error)
            except SlotsLost:
                for piece in pieces:
                    self._failures.lose(piece.request.id, LOST)
                break
            else:
                slot = self._hand_on(self._outputs(output, batch), finished_ns, slot)
                break
        if slot is not None and self._around.out_pool is not None:
            self._around.out_pool.release(slot)

    def _in_time(self, pieces: list[Piece]) -> list[Piece]:
        """Those that do not come too late; the others are dropped.

        Steps that follow have to learn of the first and last request of a sequence, and of all segments of a
        request.
        """
        most_ns = self._around.max_lateness_ns
        if most_ns is None:
            return pieces
        latest_due_ns, in_time = now_ns() - most_ns, []
        for piece in pieces:
            if self._due_ns[piece.request.id] >= latest_due_ns or not _may_be_dropped(piece.request):
                in_time.append(piece)
            else:
                self._around.table.drop(piece.request.id)
        return in_time

    def _take_slot(self, pieces: list[Piece]) -> int:
        assert self._around.out_pool is not None
        if self._waits_for_slot:
            for piece in pieces:
                self._waits_for_slot(piece.request, now_ns())
        return self._around.out_pool.take()

    def _batch(self, pieces: list[Piece]) -> Batch:
        return Batch(
            requests=tuple(piece.request for piece in pieces),
            tensors=self._assembly.tensors(pieces),
            rows=tuple(piece.rows for piece in pieces) if pieces[0].slot is not None else (),
            messages=_messages(pieces),
        )

    def _call(self, batch: Batch, slot: int | None) -> tuple[Any, int]:
        """What the step gave, and when its work was done."""
        out = {"out": self._slot_tensors(slot)} if slot is not None else {}
        try:
            with self._turn:
                started_ns = now_ns()
                for request in batch.requests:
                    self._started(request, started_ns)
                output = self._step(batch, **out)
                self._computing.synchronize()
                self._slowness.hold(started_ns)
                return output, now_ns()
        except RuntimeError as error:
            place = f"out of GPU memory in a call with {describe(batch.tensors)}"
            used_up = explain(error, place)
            if used_up and self._plan.memory_limit_mb:
                limit = f"memory_limit_mb of {self._plan.memory_limit_mb}"
                raise RequestError(f"more than its {limit}: {used_up}") from error
            raise used_up or error from error

    def _slot_tensors(self, slot: int) -> tuple[torch.Tensor, ...]:
        assert self._around.out_pool is not None
        return self._around.out_pool.tensors(slot)

    def _drop_failed(self, pieces: list[Piece], error: RequestError) -> list[Piece]:
        ids = [piece.request.id for piece in pieces]
        failed = set(ids) if error.request_ids is None else set(error.request_ids).intersection(ids)
        if not failed:
            raise OutputError(f"a RequestError that names no request of its call: {error}") from error
        for request_id in failed:
            self._fail(request_id, str(error))
        return [piece for piece in pieces if piece.request.id not in failed]

    def _outputs(self, output: Any, batch: Batch) -> list[Batch]:
        """What the step gave for a call, in messages."""
        if self._holding is not None:
            return self._holding.outputs(output, batch.requests)
        if not isinstance(output, Batch) or output.ids != batch.ids:
            given = f"for {output.ids}" if isinstance(output, Batch) else f"a {type(output).__name__}"
            raise OutputError(f"{self._type.name} was called for the requests {batch.ids}, and gave {given}")
        return output.checked().cut(batch.messages)

    def _hand_on(self, outputs: Sequence[Batch], finished_ns: int, slot: int | None) -> int | None:
        """Deliver what the step gave; returns the slot if it was not used."""
        if self._holding is not None:
            if outputs:
                self._held_until_ns = None  # what is left is newer
            self._held_until_ns = self._flush_time_ns() if self._holding.is_holding else None
        for batch in outputs:
            for request in batch.requests:
                self._finished(request, finished_ns)
            if batch.tensors and not self._plan.inputs:
                for request, rows in zip(batch.requests, batch.rows, strict=True):
                    self._around.table.note_rows(request.id, rows[0])
            is_filled = slot is not None and self._lies_in(batch, slot)
            self._delivery.deliver(batch, slot, is_filled=is_filled)
            slot = None if batch.tensors else slot
        return slot

    def _flush_time_ns(self) -> int:
        return self._held_until_ns or now_ns() + int(self._around.batch_timeout_ms * 1e6)

    def _lies_in(self, batch: Batch, slot: int) -> bool:
        """Whether the step has written its output into the slot."""
        targets = self._slot_tensors(slot)
        return len(batch.tensors) == len(targets) and all(
            one.data_ptr() == target.data_ptr() for one, target in zip(batch.tensors, targets, strict=True)
        )

    def _flush(self) -> bool:
        """Have the step give out what it holds back; False when that is all, or nothing came."""
        self._held_until_ns = None
        output = self._step.flush()
        if output is None or self._holding is None:
            return False
        self._computing.synchronize()
        outputs = self._holding.outputs(output, ())
        self._hand_on(outputs, now_ns(), None)
        return bool(outputs) and self._holding.is_holding


def _may_be_dropped(request: Request) -> bool:
    point = point_of(request)
    is_edge = point is not None and (point.is_start or point.is_end)
    return request.num_segments == 1 and not is_edge


def _messages(pieces: Sequence[Piece]) -> tuple[int, ...]:
    """How many requests each message of a gathering brought."""
    if len(pieces) == 1:
        return (1,)
    numbers = [piece.message for piece in pieces]
    return tuple(numbers.count(number) for number in dict.fromkeys(numbers))
