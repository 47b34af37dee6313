"""What is counted while a pipeline serves, for Prometheus: in Triton's names, and histograms of each step.

Source of the names: NVIDIA Triton, "Metrics".
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from rnb.live.asking import BOUNDS_MS, Histogram, LivePipeline, StepStatistics, Why
from rnb.observe import nvml
from rnb.serving.exposition import family, sample
from rnb.serving.model import VERSION

_Figure = Callable[[StepStatistics], int]
REASONS = {
    Why.BAD: "BACKEND",
    Why.FAILED: "BACKEND",
    Why.BUSY: "REJECTED",
    Why.LATE: "REJECTED",
    Why.CANCELLED: "CANCELED",
    Why.CLOSED: "OTHER",
}
"""Triton's words for why a request failed."""
RESPONSE_MS, STEP_MS = "nv_inference_first_response_histogram_ms", "rnb_step_ms"
SUCCESS = "nv_inference_request_success"
"""Of the pipeline it counts what clients sent, of a step, which knows rows alone, those."""
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
        self._num_served = 0
        self._failures: Counter[str] = Counter(dict.fromkeys(REASONS.values(), 0))

    def count_failure(self, why: Why) -> None:
        self._failures[REASONS[why]] += 1

    def count_success(self) -> None:
        """A request as its client sent it, of however many rows."""
        self._num_served += 1

    def text(self) -> str:
        """All but what machine_text has; for the thread of the event loop, as the pipeline is asked."""
        return "\n".join([*self._inference(), *self._times(), ""])

    def _inference(self) -> Iterator[str]:
        told = self._pipeline.statistics()
        for name, about, value in _FAMILIES:
            values = {model: value(one) for model, one in told.items()}
            if name == SUCCESS:
                values[self._pipeline.name] = self._num_served
            samples = [sample(name, _labels(model), count) for model, count in values.items()]
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
        depths = zip(self._pipeline.steps, self._pipeline.queue_depths, strict=True)
        yield from family(
            "rnb_queue_depth",
            "gauge",
            "Messages that wait before a step",
            [sample("rnb_queue_depth", {"step": step.name}, depth) for step, depth in depths],
        )

    def _times(self) -> Iterator[str]:
        told = dict(self._pipeline.histograms())
        whole = told.pop(self._pipeline.name)
        yield from family(
            RESPONSE_MS,
            "histogram",
            "From the arrival of a request to its answer, in ms",
            histogram(RESPONSE_MS, _labels(self._pipeline.name), whole),
        )
        lines = [line for step, one in told.items() for line in histogram(STEP_MS, {"step": step}, one)]
        yield from family(STEP_MS, "histogram", "In a step and in the queue before it, in ms", lines)


def machine_text() -> str:
    """Memory and GPUs. Reading a GPU takes some ms, so this is for another thread than the event loop's."""
    return "\n".join([*_gpus(nvml.machine().gpus), *_machine(), ""])


def histogram(name: str, labels: Mapping[str, str], told: Histogram) -> list[str]:
    """The samples of one histogram."""
    totals = list(accumulate(told.counts))
    bounds = [*(f"{bound:g}" for bound in BOUNDS_MS), "+Inf"]
    return [
        *(
            sample(f"{name}_bucket", {**labels, "le": bound}, total)
            for bound, total in zip(bounds, totals, strict=True)
        ),
        sample(f"{name}_sum", labels, told.ns / 1e6),
        sample(f"{name}_count", labels, totals[-1]),
    ]


def _labels(model: str) -> dict[str, str]:
    return {"model": model, "version": VERSION}


_FAMILIES: tuple[tuple[str, str, _Figure], ...] = (
    (
        SUCCESS,
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


def _gpus(gpus: Sequence[nvml.Gpu]) -> Iterator[str]:
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
