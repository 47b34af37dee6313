"""A runner process: one replica of a step, with one or more worker threads.

    input queue -> intake -> inputs -> step -> delivery -> slots and output queue, or request table

It gets everything ready (step, slots, warm-up) before the start barrier and tells the driver how it ended.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rnb.clock import now_ns, sleep_precisely
from rnb.control import Control, run_child
from rnb.delivery import Delivery, Output, ResultDelivery, SlotDelivery, split_output
from rnb.gpu_memory import explain, explained
from rnb.importer import accepted, import_class
from rnb.inputs import Inputs
from rnb.intake import Intake, Piece
from rnb.kernel_recorder import KernelRecorder, KernelWindowing
from rnb.plan import ReplicaPlan
from rnb.queues import EndOfStream, MessageQueue
from rnb.request_table import RequestTable
from rnb.slots import SlotPool
from rnb.step import RequestError, Step, StepOutput
from rnb.stop import StopFlag, Termination
from rnb.time_card import TimeCard, TimeCardList, cards_of


@dataclass(frozen=True, kw_only=True)
class RunnerTask:
    """All that a runner process is told."""

    plan: ReplicaPlan
    control: Control
    stop: StopFlag
    table: RequestTable
    in_queue: MessageQueue
    out_queues: tuple[MessageQueue, ...]
    in_pools: dict[int, SlotPool]
    out_pool: SlotPool | None
    batch_timeout_ms: float
    poll_s: float
    """How long a worker that waits for a message looks often; see MessageQueue.get."""
    num_torch_threads: int
    windowing: KernelWindowing | None
    """How its kernels are traced; None: not."""


def run_replica(task: RunnerTask) -> None:
    """The main function of a runner process."""
    release = task.out_pool.detach if task.out_pool else None
    run_child(task.control, lambda: _run(task), full=Termination.FRAME_QUEUE_FULL, release=release)


def _run(task: RunnerTask) -> None:
    plan = task.plan
    if plan.device.type == "cuda":
        torch.cuda.set_device(plan.device)
    kernels = KernelRecorder(task.control, task.windowing if plan.device.type == "cuda" else None)
    kernels.prepare()
    handle = task.out_pool.allocate() if task.out_pool else b""
    with contextlib.ExitStack() as stack:
        # A worker keeps one thread for life: CUDA streams, inference mode and cuDNN's plans are per thread.
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(plan.workers)]
        make = partial(Worker, task, turn=threading.Lock())
        workers = _on_each(threads, [partial(make, worker) for worker in range(plan.workers)], task.stop)
        task.control.tell("prepared", handle)
        _attach(task, task.control.wait_for("handles"))
        _on_each(threads, [worker.warm_up for worker in workers], task.stop)
        (facts,) = _on_each(threads[:1], [workers[0].facts], task.stop)
        task.control.tell("ready", facts)
        start_ns = task.control.wait_for("start")
        with kernels.recording(start_ns):
            _on_each(threads, [worker.run for worker in workers], task.stop)
        for queue in task.out_queues:
            queue.close()
        for pool in task.in_pools.values():
            pool.detach()


def _on_each(
    threads: Sequence[ThreadPoolExecutor], calls: Sequence[Callable[[], Any]], stop: StopFlag
) -> list[Any]:
    """Make one call in each thread; the first exception stops the run and is raised."""
    futures: list[Future[Any]] = [thread.submit(call) for thread, call in zip(threads, calls, strict=True)]
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    if any(future.exception() for future in done):
        stop.raise_flag(Termination.PROCESS_FAILED)
    return [future.result() for future in sorted(futures, key=lambda future: future not in done)]


def _attach(task: RunnerTask, handles: dict[int, bytes]) -> None:
    for index, pool in task.in_pools.items():
        pool.attach(handles[index])
        if task.plan.device.type == "cuda":
            pool.pin()


class Worker:
    """One thread's step instance and what is around it."""

    def __init__(self, task: RunnerTask, number: int, turn: threading.Lock) -> None:
        self._task, self._plan, self._number = task, task.plan, number
        step = task.plan.step
        self._taken, self._started, self._finished = (
            f"runner{step}_start",
            f"inference{step}_start",
            f"inference{step}_finish",
        )
        self._stream = torch.cuda.Stream(task.plan.device) if task.plan.device.type == "cuda" else None
        torch.set_num_threads(task.num_torch_threads)
        with self._device(), explained("out of GPU memory in the constructor"):
            cls = import_class(task.plan.model)
            self._step = cls(task.plan.device, **task.plan.options)
        self._batches = getattr(cls, "batches_requests", False)
        takes_turns = self._stream is not None and getattr(cls, "takes_turns", False)
        self._turn = turn if takes_turns else contextlib.nullcontext()
        self._intake = Intake(
            task.in_queue,
            task.stop,
            batch_size=task.plan.batch_size,
            timeout_ms=task.batch_timeout_ms,
            max_clips=task.plan.max_clips,
            most_clips=task.plan.input_shapes[0][0] if task.plan.input_shapes else 0,
            poll_s=task.poll_s,
        )
        if task.poll_s:
            sleep_precisely()
        self._delivery = self._make_delivery()
        self._held_until_ns: int | None = None

    def _make_delivery(self) -> Delivery:
        task = self._task
        if not task.out_queues:
            return ResultDelivery(task.table)
        selector_class = import_class(self._plan.selector)
        extra = accepted(selector_class.__init__, {"queues": task.out_queues})
        return SlotDelivery(
            pool=task.out_pool,
            pool_index=self._plan.out_pool,
            queues=task.out_queues,
            selector=selector_class(len(task.out_queues), **extra),
            num_segments=self._plan.num_segments,
            slot_event=self._known(f"slot{self._plan.step}_finish"),
            handoff_event=f"handoff{self._plan.step}_finish",
        )

    def _known(self, event: str) -> str | None:
        """The event, if this run records it."""
        names = (event, f"{event}-0")
        return event if any(map(self._task.table.has_event, names)) else None

    @contextlib.contextmanager
    def _device(self) -> Iterator[None]:
        """This worker's GPU and stream are the current ones, and no gradients are kept."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._stream is not None:
                stack.enter_context(torch.cuda.stream(self._stream))
            yield

    def _synchronize(self) -> None:
        if self._stream is not None:
            self._stream.synchronize()

    def warm_up(self) -> None:
        """Make the input buffers, and run every batch size that can occur, before anything is timed."""
        with self._device():
            shapes = self._plan.input_shapes if self._task.in_pools else None
            self._inputs = Inputs(
                self._task.in_pools,
                self._plan.device,
                shapes=shapes,
                most_rows=self._plan.most_rows,
                in_place=getattr(self._step, "reads_in_place", False),
            )
            if hasattr(self._step, "warm_up"):
                rows = self._plan.most_rows
                with explained(f"out of GPU memory in the warm-up with up to {rows} rows of {shapes}"):
                    self._step.warm_up(range(1, rows + 1))
            self._synchronize()

    def facts(self) -> dict[str, Any]:
        with self._device():
            return self._step.facts() if isinstance(self._step, Step) else {}

    def run(self) -> None:
        """Serve requests until the stream ends."""
        with self._device():
            with contextlib.suppress(EndOfStream):
                while True:
                    pieces = self._intake.next_batch(self._held_until_ns)
                    if pieces:
                        self._serve_batch(pieces)
                    else:
                        self._flush()
            while self._flush():
                pass
            self._synchronize()
            if hasattr(self._step, "close"):
                self._step.close()

    def _serve_batch(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            TimeCard(piece.part, self._task.table).record_taken(
                self._taken, piece.taken_ns, replica=self._plan.replica, worker=self._number
            )
        for call in [pieces] if self._batches else [[piece] for piece in pieces]:
            self._serve(call)
        # Only now has everything that reads the input slots run.
        self._synchronize()
        for slot in {piece.slot for piece in pieces if piece.slot is not None}:
            self._task.in_pools[slot.pool].release(slot.number)

    def _serve(self, pieces: list[Piece]) -> None:
        """Call the step once, and again without the requests that it says have failed."""
        slot = self._take_slot(pieces) if self._plan.writes_in_place else None
        while pieces:
            try:
                output, finished_ns = self._call(pieces, slot)
            except RequestError as error:
                pieces = self._drop_failed(pieces, error)
            else:
                slot = self._hand_on(output, finished_ns, slot, _counts(pieces))
                break
        if slot is not None and self._task.out_pool is not None:
            self._task.out_pool.release(slot)

    def _take_slot(self, pieces: list[Piece]) -> int:
        assert self._task.out_pool is not None
        for piece in pieces:
            TimeCard(piece.part, self._task.table).record(f"slot{self._plan.step}_start")
        return self._task.out_pool.take()

    def _call(self, pieces: list[Piece], slot: int | None) -> tuple[StepOutput, int]:
        """What the step returned, and when its work was done."""
        tensors = self._inputs.assemble(pieces)
        cards = [TimeCard(piece.part, self._task.table) for piece in pieces]
        values = [piece.part.value for piece in pieces]
        more = {"out": self._task.out_pool.tensors(slot)} if slot is not None and self._task.out_pool else {}
        try:
            with self._turn:
                started_ns = now_ns()
                for card in cards:
                    card.record(self._started, started_ns)
                if len(pieces) == 1:
                    output: StepOutput = self._step(tensors, values[0], cards[0], **more)
                else:
                    output = self._step(tensors, values, TimeCardList(cards), **more)
                self._synchronize()
                return output, now_ns()
        except torch.OutOfMemoryError as error:
            raise explain(error, f"out of GPU memory in a call with {_describe(tensors)}") from error

    def _drop_failed(self, pieces: list[Piece], error: RequestError) -> list[Piece]:
        failed = (
            {piece.part.request_id for piece in pieces}
            if error.request_ids is None
            else set(error.request_ids)
        )
        for request_id in failed:
            self._task.table.fail(request_id, str(error))
        return [piece for piece in pieces if piece.part.request_id not in failed]

    def _hand_on(
        self, returned: StepOutput, finished_ns: int, slot: int | None, counts: list[int]
    ) -> int | None:
        """Deliver what the step returned; returns the slot if it was not used."""
        tensors, values, card = returned
        cards = cards_of(card)
        if not cards:
            self._held_until_ns = self._held_until_ns or now_ns() + int(self._task.batch_timeout_ms * 1e6)
            return slot
        for one in cards:
            one.record(self._finished, finished_ns)
        self._held_until_ns = None
        output = Output(tensors, _values_of(values, len(cards)), cards)
        if self._plan.step == 0 and tensors:
            for one, rows in zip(cards, output.num_rows, strict=True):
                self._task.table.outcomes["num_clips"][one.id] = rows[0]
        written = self._written_slot(tensors, slot)
        if sum(counts) != len(cards):
            counts = [len(cards)]  # the step packed what it held back
        for part in split_output(output, counts):
            self._delivery.deliver(part, written)
        return None if written is not None else slot

    def _written_slot(self, tensors: Any, slot: int | None) -> int | None:
        """The slot, if the step has written its output there."""
        if slot is None or self._task.out_pool is None or not tensors:
            return None
        targets = self._task.out_pool.tensors(slot)
        same = all(a.data_ptr() == b.data_ptr() for a, b in zip(tensors, targets, strict=True))
        return slot if same else None

    def _flush(self) -> bool:
        """Have the step give out what it holds back; False when it held nothing."""
        self._held_until_ns = None
        output = self._step.flush() if hasattr(self._step, "flush") else None
        if output is None:
            return False
        self._synchronize()
        self._hand_on(output, now_ns(), None, [len(cards_of(output[2]))])
        return True


def _counts(pieces: Sequence[Piece]) -> list[int]:
    """How many requests each message of a batch brought."""
    messages = [piece.message for piece in pieces]
    return [messages.count(message) for message in sorted(set(messages))]


def _describe(tensors: Any) -> str:
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors or ())
    return f"inputs {shapes}" if shapes else "no input"


def _values_of(values: Any, num_requests: int) -> list[Any]:
    """The value of each request, from what a step returned for all of them."""
    if num_requests == 1:
        return [values]
    if isinstance(values, list) and len(values) == num_requests:
        return values
    return [values] * num_requests
