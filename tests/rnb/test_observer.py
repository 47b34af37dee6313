"""The driver's view of a run: the GPUs of its plan, the queue before each step, both ends."""

from __future__ import annotations

import io
import multiprocessing
import os

import pytest

from rnb import progress
from rnb.config import parse_config
from rnb.observer import Observer
from rnb.plan import Plan, make_plan
from rnb.queues import MessageQueue
from rnb.request_table import RequestTable
from tests.support.fake_nvml import FakeGpu, install

PLAN = [
    {"model": "tests.support.tiny_steps.Load", "gpus": [-1]},
    {"model": "tests.support.tiny_steps.Classify", "gpus": [1, 1]},
]


def make_observer(*, has_telemetry: bool = True) -> tuple[Observer, list[MessageQueue]]:
    plan = make_plan(parse_config(PLAN), mode="cuda", batch_size=1, queue_capacity=9)
    queues = _queues(plan)
    table = RequestTable(num_requests=5, events=plan.events)
    return Observer(plan, table, queues, num_warmup=0, has_telemetry=has_telemetry), queues


def _queues(plan: Plan) -> list[MessageQueue]:
    context = multiprocessing.get_context("spawn")
    return [MessageQueue(queue.name, capacity=9, num_writers=1, context=context) for queue in plan.queues]


def test_the_gpus_of_the_plan_are_those_that_cuda_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    lacking = FakeGpu(uuid="GPU-1", lacks=["nvmlDeviceGetUtilizationRates"])
    install(monkeypatch, [FakeGpu(uuid="GPU-0"), lacking, FakeGpu(uuid="GPU-2", processes={os.getpid(): 64})])
    observer, _ = make_observer()
    with observer.watch({"step 1.0": os.getpid()}):
        pass
    assert observer.telemetry
    assert {name.partition(".")[0] for name in observer.telemetry if name.startswith("gpu")} == {"gpu1"}
    assert set(observer.telemetry["gpu1.sm_percent"]) == {37}
    assert set(observer.telemetry["process.step 1.0.gpu_memory_bytes"]) == {64}
    assert {when: len(states) for when, states in observer.gpu_states.items()} == {"at_start": 3, "at_end": 3}


def test_without_telemetry_the_ends_are_recorded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu()])
    observer, _ = make_observer(has_telemetry=False)
    with observer.watch({}):
        pass
    assert observer.telemetry is None
    assert [states[0]["sm_clock_mhz"] for states in observer.gpu_states.values()] == [1980, 1980]


def test_what_waits_for_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_S", 0)
    observer, queues = make_observer(has_telemetry=False)
    for number, queue in enumerate(queues, 2):
        for message in range(number):
            queue.put(message)
    with observer.watch({}) as update:
        update()
    assert stream.getvalue().endswith("waiting: 2 for step 0, 3 for step 1\n")
