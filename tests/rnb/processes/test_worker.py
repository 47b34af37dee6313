"""A worker: what its step gives goes on for the right requests, or the run fails with a clear line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from models.nothing.model import Nothing
from rnb.contract import Batch, Context, Layout, OutputError, Request, RequestError, Step, TensorSpec
from rnb.contract import Options as AnyOptions
from rnb.contract.events import Event, EventKind
from rnb.contract.termination import Termination
from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.processes.sharing import Shared
from rnb.processes.start_up import StartUp
from rnb.processes.worker import Surroundings, Worker
from rnb.transport.fabric import FAILED, FINISHED, UNFINISHED, Stopped
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.queues import MessageQueue
from rnb.transport.message import Message

TINY = "tests.support.tiny_steps"
HERE = __name__


class Answers(Step):
    """Gives what the config says, wrong as it may be."""

    class Options(AnyOptions):
        how: str

    batches_requests = True

    def __call__(self, batch: Batch) -> Any:
        answers: dict[str, Callable[[], Any]] = {
            "for others": lambda: Batch((Request(99), *batch.requests[1:])),
            "in another order": lambda: Batch(batch.requests[::-1]),
            "for some": lambda: Batch(batch.requests[1:]),
            "nothing": lambda: None,
            "several": lambda: [Batch((one,)) for one in batch.requests],
            "tensors": lambda: (None, None, None),
            "wrong rows": lambda: Batch(batch.requests, (torch.zeros(5, 1),), ((1,),) * len(batch)),
        }
        return answers[self.options.how]()


class Trails(Step):
    """Gives out each request when the next one comes."""

    class Options(AnyOptions):
        forgets: bool = False
        flushes: str = "what is held"

    regroups = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.held: list[Batch] = []

    def __call__(self, batch: Batch) -> Batch | None:
        self.held.append(batch)
        return self.held.pop(0) if len(self.held) > 1 else None

    def flush(self) -> Sequence[Batch] | None:
        if self.options.flushes == "nothing":
            return None
        if self.options.flushes == "an empty list":
            return []
        held, self.held = self.held, []
        return held or None


class Invents(Step):
    """Gives out a request that it was never called for."""

    regroups = True

    def __call__(self, batch: Batch) -> Batch:
        return Batch((Request(99),))


class Fails(Step):
    """Fails the requests that the config says, in the way that it says."""

    class Options(AnyOptions):
        requests: tuple[int, ...] = ()
        segment: int = 0
        names: tuple[int, ...] | None = None

    batches_requests = True

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return inputs

    def __call__(self, batch: Batch) -> Batch:
        failing = [
            one.id for one in batch.requests
            if one.id in self.options.requests and one.segment == self.options.segment
        ]  # fmt: skip
        if failing:
            named = failing if self.options.names is None else self.options.names
            raise RequestError("cannot be served", named if len(batch) > 1 or self.options.names else None)
        return batch.give(tensors=batch.tensors, rows=batch.rows, payloads=[f"of {len(batch)}"] * len(batch))


class CountsSegments(Step):
    """Puts the three segments of a request together."""

    joins_segments = True
    regroups = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.seen: dict[int, int] = {}

    def __call__(self, batch: Batch) -> Batch | None:
        (request,) = batch.requests
        self.seen[request.id] = self.seen.get(request.id, 0) + 1
        return Batch((request.whole.with_payload("joined"),)) if self.seen[request.id] == 3 else None


class Bench:
    """The steps of a pipeline, each served by one worker in this process."""

    def __init__(self, *steps: dict[str, Any], batch_size: int = 1) -> None:
        self.fabric = LocalFabric()
        config = parse_config([{"gpus": [-1], **step} for step in steps])
        self.plan = make_plan(config, PlanOptions(mode="cpu", batch_size=batch_size))
        self.queues = [
            self.fabric.queue(one.name, capacity=one.capacity, num_writers=1) for one in self.plan.queues
        ]
        self.pools = [
            self.fabric.pool(layout=one.layout, num_slots=one.num_slots, device=one.device)
            for one in self.plan.pools
        ]
        for pool in self.pools:
            pool.allocate()
        self.table = self.fabric.table(num_requests=10, events=self.plan.events)

    def send(self, *request_ids: int) -> None:
        for request_id in request_ids:
            self.queues[0].put(Message(None, (Request(request_id, f"{request_id}.mp4"),), ((),)))

    def worker(self, step: int, in_queue: MessageQueue | None = None) -> Worker:
        replica = self.plan.replicas[step]
        around = Surroundings(
            plan=replica,
            stop=self.fabric.stop,
            table=self.table,
            in_queue=in_queue or self.queues[replica.in_queues[0]],
            out_queues=tuple(self.queues[queue] for queue in replica.out_queues),
            in_pools={pool: self.pools[pool] for pool in replica.in_pools},
            out_pool=None if replica.out_pool is None else self.pools[replica.out_pool],
            batch_timeout_ms=20,
            poll_s=0,
            num_threads=torch.get_num_threads(),
            context=Context(where=replica.device, inputs=replica.inputs, batch_size=replica.batch_size),
        )
        worker = Worker(around, 0, threading.Lock(), Shared(), StartUp())
        worker.warm_up()
        return worker

    def run(self, *request_ids: int) -> None:
        """Send requests, and have the steps serve them one after the other."""
        self.send(*request_ids)
        for step, queue in enumerate(self.queues):
            queue.close()
            self.worker(step).run()

    def statuses(self, num_requests: int) -> list[int]:
        statuses: list[int] = self.table.outcomes["status"][:num_requests].tolist()
        return statuses


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"model": f"{HERE}.{name}" if name in globals() else f"{TINY}.{name}", **options}


def test_requests_are_served_from_step_to_step() -> None:
    bench = Bench(step("Load"), step("Classify"))
    bench.run(0, 1, 2)
    assert bench.statuses(4) == [FINISHED] * 3 + [UNFINISHED]
    assert bench.table.outcomes["num_clips"][:3].tolist() == [1, 1, 11]
    times = bench.table.times[:3, 2:]
    assert (times > 0).all()
    assert (times[:, 1:] >= times[:, :-1]).all()
    assert bench.table.served_by_columns()["replica1"][:4].tolist() == [0, 0, 0, -1]


def test_all_slots_are_free_at_the_end() -> None:
    bench = Bench(step("Load", num_shared_tensors=3), step("Classify"))
    bench.run(0, 1, 2)
    assert {bench.pools[0].take() for _ in range(3)} == {0, 1, 2}


def test_a_batch_goes_on_in_the_messages_that_it_came_in() -> None:
    bench = Bench(step("Load"), step("Pass"), step("Classify"), batch_size=4)
    bench.send(0, 1, 2)
    for number in range(2):
        bench.queues[number].close()
        bench.worker(number).run()
    found = [bench.queues[2].take(0) for _ in range(3)]
    assert [[request.id for request in message.requests] for message in found] == [[0], [1], [2]]
    started = bench.table.column(Event(EventKind.STARTED, 1))[:3].tolist()
    assert len(set(started)) == 1  # one call


def test_what_a_batcher_packs_stays_together() -> None:
    bench = Bench(
        step("Load"), {"model": "rnb.pipeline.batcher.Batcher", "batch": 2}, step("Pass"), step("Classify")
    )
    bench.run(0, 1, 2)
    assert bench.statuses(3) == [FINISHED] * 3


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("for others", r"Answers was called for the requests \[0, 1\], and gave for \[99, 1\]"),
        ("in another order", r"Answers was called for the requests \[0, 1\], and gave for \[1, 0\]"),
        ("for some", r"Answers was called for the requests \[0, 1\], and gave for \[1\]"),
        ("nothing", r"Answers was called for the requests \[0, 1\], and gave a NoneType"),
        ("several", r"Answers was called for the requests \[0, 1\], and gave a list"),
        ("tensors", r"Answers was called for the requests \[0, 1\], and gave a tuple"),
        ("wrong rows", r"tensor 0 has 5 rows, and its 2 requests have \[1, 1\]"),
    ],
)
def test_an_answer_that_is_not_for_the_requests_of_the_call(how: str, message: str) -> None:
    bench = Bench(step("Answers", how=how), batch_size=2)
    with pytest.raises(OutputError, match=f"^{message}$"):
        bench.run(0, 1)
    assert bench.statuses(2) == [UNFINISHED] * 2


def test_a_request_that_a_step_makes_up() -> None:
    with pytest.raises(OutputError, match=r"^the step gave out request 99, which it does not have$"):
        Bench(step("Invents")).run(0)


@pytest.mark.parametrize("flushes", ["nothing", "an empty list"])
def test_a_step_that_still_holds_requests_at_the_end(flushes: str) -> None:
    bench = Bench(step("Trails", flushes=flushes))
    with pytest.raises(OutputError, match=r"^at the end the step still holds 1 requests: 2$"):
        bench.run(0, 1, 2)
    assert bench.statuses(3) == [FINISHED, FINISHED, UNFINISHED]


def test_what_is_held_back_comes_out_at_the_end() -> None:
    bench = Bench(step("Trails"))
    bench.run(0, 1, 2)
    assert bench.statuses(3) == [FINISHED] * 3


@pytest.mark.parametrize("request_ids", [(0,), (0, 1)])
def test_what_is_held_back_comes_out_after_the_timeout(request_ids: tuple[int, ...]) -> None:
    bench = Bench(step("Trails"))
    bench.send(*request_ids)
    thread = threading.Thread(target=bench.worker(0).run)
    thread.start()
    deadline = time.monotonic() + 30
    while bench.table.count(FINISHED) < len(request_ids) and time.monotonic() < deadline:
        time.sleep(0.01)
    num_finished = bench.table.count(FINISHED)
    bench.queues[0].close()
    thread.join(30)
    assert num_finished == len(request_ids)


def test_a_call_is_made_again_without_the_request_that_failed() -> None:
    bench = Bench(step("Fails", requests=[1]), batch_size=3)
    bench.run(0, 1, 2)
    assert bench.statuses(3) == [FINISHED, FAILED, FINISHED]
    assert bench.table.outcomes["reason"][1] == b"cannot be served"
    assert bench.table.results() == {0: "of 2", 2: "of 2"}


def test_all_requests_of_a_call_may_fail() -> None:
    bench = Bench(step("Fails", requests=[0, 1]), batch_size=2)
    bench.run(0, 1)
    assert bench.statuses(2) == [FAILED] * 2


def test_a_request_error_that_names_no_request_of_its_call() -> None:
    bench = Bench(step("Fails", requests=[1], names=[7]), batch_size=2)
    with pytest.raises(
        OutputError, match="a RequestError that names no request of its call: cannot be served"
    ):
        bench.run(0, 1)


def test_a_request_whose_segment_failed_is_not_missed_where_segments_are_joined() -> None:
    bench = Bench(
        step("Load", num_segments=3), step("Fails", requests=[2], segment=1), step("CountsSegments")
    )
    bench.run(1, 2, 3)
    assert bench.statuses(4) == [UNFINISHED, FINISHED, FAILED, FINISHED]
    assert bench.table.results() == {1: "joined", 3: "joined"}


def test_a_segment_that_is_missing_for_no_reason_is_missed() -> None:
    bench = Bench(step("Load", num_segments=2), step("CountsSegments"))
    with pytest.raises(OutputError, match=r"^at the end the step still holds 2 requests: 1, 3$"):
        bench.run(1, 3)


def stop_soon(bench: Bench) -> None:
    """Nobody may wait for a slot that never comes."""
    timer = threading.Timer(20, bench.fabric.stop.raise_flag, [Termination.PROCESS_FAILED])
    timer.daemon = True
    timer.start()


@pytest.mark.parametrize("loader", ["LoadInPlace", "LoadElsewhere"])
def test_a_slot_that_is_offered_is_the_only_one_that_is_taken(loader: str) -> None:
    bench = Bench(step(loader, num_shared_tensors=3), step("Classify"))
    stop_soon(bench)
    bench.run(0, 1, 2)
    assert bench.statuses(3) == [FINISHED] * 3
    assert {bench.pools[0].take() for _ in range(3)} == {0, 1, 2}


def test_a_slot_that_is_offered_for_a_request_that_fails_is_free_again() -> None:
    bench = Bench(step("LoadInPlace", num_shared_tensors=1, fail_every=2), step("Classify"))
    stop_soon(bench)
    bench.run(0, 2, 4, 1)
    assert bench.statuses(5) == [FAILED, FINISHED, FAILED, UNFINISHED, FAILED]
    assert bench.pools[0].take() == 0


def test_two_tensors_reach_the_next_step_alone_and_gathered() -> None:
    for batch_size in (1, 4):
        bench = Bench(step("LoadTwo"), step("CheckTwo"), batch_size=batch_size)
        bench.run(0, 1, 2, 3)
        assert bench.statuses(4) == [FINISHED] * 4
        assert bench.table.results()[2] == {"boxes": 22, "at": [0.5, None]}


def test_a_stopped_run_ends_a_worker() -> None:
    bench = Bench({"model": "models.nothing.model.Nothing"})
    bench.fabric.stop.raise_flag(Termination.INTERRUPTED)
    with pytest.raises(Stopped):
        bench.worker(0).run()


class Tells(Nothing):
    def facts(self) -> dict[str, Any]:
        return {"inference": torch.is_inference_mode_enabled()}

    def warm_up(self, row_counts: Sequence[int]) -> None:
        assert list(row_counts) == list(range(1, 23))


def test_it_warms_up_every_number_of_rows_and_tells_what_the_step_does() -> None:
    bench = Bench(step("Load"), step("Tells", max_clips=22) | {"model": f"{HERE}.TellsInBatches"})
    assert bench.worker(1).facts() == {"inference": True}


class TellsInBatches(Tells):
    batches_requests = True

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((1, 1)),)
