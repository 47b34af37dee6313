"""What is counted while a pipeline serves, for Prometheus: in Triton's names, and histograms of each step.

Source of the names: NVIDIA Triton, "Metrics".
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from rnb.contract.events import SENT, Event, EventKind
from rnb.live.asking import Answer, LivePipeline, Why
from rnb.observe.nvml import Gpu, machine
from rnb.serving.exposition import Histogram, family, sample
from rnb.serving.model import VERSION

REASONS = {
    Why.BAD: "BACKEND",
    Why.FAILED: "BACKEND",
    Why.BUSY: "REJECTED",
    Why.LATE: "REJECTED",
    Why.CANCELLED: "CANCELED",
    Why.CLOSED: "OTHER",
}
"""Triton's words for why a request failed."""
_WORK = ("queue", "compute_input", "compute_infer", "compute_output")
_GPU = {
    "nv_gpu_utilization": ("sm_percent", 0.01, "GPU utilization rate (0 to 1)"),
    "nv_gpu_memory_total_bytes": ("total_memory_bytes", 1, "GPU memory in bytes"),
    "nv_gpu_memory_used_bytes": ("memory_bytes", 1, "Used GPU memory in bytes"),
    "nv_gpu_power_usage": ("power_w", 1, "GPU power in watts"),
    "nv_gpu_power_limit": ("power_cap_w", 1, "Limit of the GPU's power in watts"),
}
"""The reading of NVML for each name, its factor, and what it is."""


class Metrics:
    """Of one pipeline."""

    def __init__(self, pipeline: LivePipeline) -> None:
        self._pipeline = pipeline
        self._failures: Counter[str] = Counter(dict.fromkeys(REASONS.values(), 0))
        self._requests = Histogram()
        self._steps = [_StepTimes(number, step.name) for number, step in enumerate(pipeline.steps)]

    def count_failure(self, why: Why) -> None:
        self._failures[REASONS[why]] += 1

    def observe(self, answers: Iterable[Answer], duration_s: float) -> None:
        """A request was answered."""
        self._requests.observe(duration_s)
        for answer in answers:
            for step in self._steps:
                step.observe(answer)

    def text(self) -> str:
        """All of it. Reads the GPUs, which takes some ms for each: call it beside the event loop."""
        return "\n".join([*self._inference(), *self._times(), *_gpus(machine().gpus), *_machine(), ""])

    def _inference(self) -> Iterator[str]:
        told = self._pipeline.statistics()
        for name, about, value in _FAMILIES:
            samples = [sample(name, _labels(model), value(one)) for model, one in told.items()]
            yield from family(name, "counter", about, samples)
        labels = _labels(self._pipeline.name)
        yield from family(
            "nv_inference_request_failure",
            "counter",
            "Number of failed inference requests",
            [
                sample("nv_inference_request_failure", {**labels, "reason": reason}, count)
                for reason, count in self._failures.items()
            ],
        )
        yield from family(
            "nv_inference_pending_request_count",
            "gauge",
            "Requests that have no answer yet",
            [sample("nv_inference_pending_request_count", labels, self._pipeline.num_pending)],
        )
        depths = zip(self._steps, self._pipeline.queue_depths, strict=False)
        yield from family(
            "rnb_queue_depth",
            "gauge",
            "Messages that wait before a step",
            [sample("rnb_queue_depth", {"step": step.name}, depth) for step, depth in depths],
        )

    def _times(self) -> Iterator[str]:
        yield from family(
            "rnb_request_seconds",
            "histogram",
            "From the request's arrival at the server to its answer",
            self._requests.samples("rnb_request_seconds", _labels(self._pipeline.name)),
        )
        for name, about in _StepTimes.ABOUT.items():
            lines = [line for step in self._steps for line in step.samples(name)]
            yield from family(name, "histogram", about, lines)


class _StepTimes:
    """How long requests waited for one step, and were in it."""

    ABOUT: ClassVar = {
        "rnb_step_queue_seconds": "In the queue before the step",
        "rnb_step_compute_seconds": "In the step's call",
    }

    def __init__(self, number: int, name: str) -> None:
        self.name = name
        before = Event(EventKind.HANDED_ON, number - 1) if number else SENT
        self._spans = {
            "rnb_step_queue_seconds": (before, Event(EventKind.TAKEN, number)),
            "rnb_step_compute_seconds": (
                Event(EventKind.STARTED, number),
                Event(EventKind.FINISHED, number),
            ),
        }
        self._histograms = {name: Histogram() for name in self._spans}

    def observe(self, answer: Answer) -> None:
        """A request in segments has no such times for the steps that saw a part of it."""
        times = answer.times_ns
        for name, (start, end) in self._spans.items():
            if start in times and end in times:
                self._histograms[name].observe((times[end] - times[start]) / 1e9)

    def samples(self, name: str) -> list[str]:
        return self._histograms[name].samples(name, {"step": self.name})


def _labels(model: str) -> dict[str, str]:
    return {"model": model, "version": VERSION}


_FAMILIES = (
    (
        "nv_inference_request_success",
        "Number of successful inference requests",
        lambda one: one.success.count,
    ),
    ("nv_inference_count", "Number of inferences performed", lambda one: one.inference_count),
    ("nv_inference_exec_count", "Number of calls", lambda one: one.execution_count),
    (
        "nv_inference_request_duration_us",
        "Cumulative duration of requests",
        lambda one: one.success.ns // 1000,
    ),
    *(
        (
            f"nv_inference_{name}_duration_us",
            f"Cumulative {name.replace('_', ' ')} duration",
            lambda one, name=name: getattr(one, name).ns // 1000,
        )
        for name in _WORK
    ),
)


def _gpus(gpus: Sequence[Gpu]) -> Iterator[str]:
    for name, (reading, factor, about) in _GPU.items():
        values = [(gpu.uuid or "", gpu.read(reading) * factor) for gpu in gpus]
        told = [sample(name, {"gpu_uuid": uuid}, value) for uuid, value in values if not math.isnan(value)]
        yield from family(name, "gauge", about, told)


def _machine() -> Iterator[str]:
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    for name, about, value in (
        ("nv_cpu_memory_total_bytes", "Memory of the machine", total),
        ("nv_cpu_memory_used_bytes", "Memory of the machine that is not free", total - free),
    ):
        yield from family(name, "gauge", about, [sample(name, {}, value)])
