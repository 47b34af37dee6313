#!/usr/bin/env python
"""What watching costs: R(2+1)D alone, sampled and traced, in turn; then what the sampler and the tracer saw.

    python -m benchmarks.cupti_cost --clips 1 10

Each mode runs for `--seconds`, the modes in turn, `--repetitions` times; a rate's spread is its range. The
clips are random: no video is decoded. Exit status 1 without a GPU or the bridge.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from models.r2p1d.network import R2P1DPart
from models.r2p1d.parts import input_shape
from utils.cupti.bridge import open_cupti
from utils.cupti.errors import CuptiUnavailable
from utils.cupti.gpu_sampler import GpuSampler
from utils.cupti.kernel_counters import CountedKernel, count_kernels
from utils.cupti.kernel_summary import gaps, top_kernels

Infer = Callable[[], object]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 10], help="batch sizes")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--half", action="store_true", help="fp16, channels last, in the place of fp32")
    return parser.parse_args()


def make_infer(num_clips: int, half: bool) -> Infer:
    """The whole network on random clips, warmed up; one call waits for its result."""
    network: torch.nn.Module = R2P1DPart().cuda().eval()
    clips = torch.randn(num_clips, *input_shape(), device="cuda")
    if half:
        clips = clips.half().to(memory_format=torch.channels_last_3d)
        network.half().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def infer() -> None:
        with torch.inference_mode():
            network(clips)
        torch.cuda.synchronize()

    for _ in range(5):
        infer()
    return infer


@contextmanager
def traced(correlate: bool) -> Iterator[None]:
    cupti = open_cupti()
    with cupti.trace(correlate=correlate), cupti.region("r2p1d", 0):
        yield


MODES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "alone": nullcontext,
    "sampled, 1 ms": lambda: GpuSampler(0, interval_us=1000),
    "sampled, 0.1 ms": lambda: GpuSampler(0, interval_us=100),
    "traced": lambda: traced(correlate=False),
    "traced, with regions": lambda: traced(correlate=True),
}


@dataclass(frozen=True)
class Rate:
    """Calls a second, and the CPU time that the process took for them, in cores."""

    per_second: float
    cores: float


def rate(infer: Infer, seconds: float) -> Rate:
    start, cpu_start, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        infer()
        count += 1
    elapsed = time.perf_counter() - start
    return Rate(count / elapsed, (time.process_time() - cpu_start) / elapsed)


def measure(infer: Infer, seconds: float, repetitions: int) -> dict[str, list[Rate]]:
    rates: dict[str, list[Rate]] = {mode: [] for mode in MODES}
    for _ in range(repetitions):
        for mode, watch in MODES.items():
            with watch():
                rates[mode].append(rate(infer, seconds))
    return rates


def print_costs(rates: dict[str, list[Rate]]) -> None:
    alone = statistics.median(r.per_second for r in rates["alone"])
    for mode, values in rates.items():
        speeds = [r.per_second for r in values]
        median = statistics.median(speeds)
        cores = statistics.median(r.cores for r in values)
        change = f"{100 * (median / alone - 1):+.1f} %"
        print(
            f"  {mode:22}{median:8.1f}/s  {min(speeds):.1f} to {max(speeds):.1f}  {change}, {cores:.2f} cores"
        )


def print_sampled(infer: Infer, seconds: float) -> None:
    with GpuSampler(0) as sampler:
        rate(infer, seconds)
    assert sampler.samples is not None
    means = ", ".join(f"{name} {value:.1f}" for name, value in sampler.samples.mean().items())
    print(f"  sampled over {seconds} s: {means}")


def first_of_each(counted: list[CountedKernel]) -> dict[str, CountedKernel]:
    """One launch of each name: the first."""
    first: dict[str, CountedKernel] = {}
    for kernel in counted:
        first.setdefault(kernel.name, kernel)
    return first


def print_kernels(infer: Infer) -> None:
    cupti = open_cupti()
    with cupti.trace():
        for _ in range(20):
            infer()
    table = cupti.kernel_table()
    idle = gaps(table)
    print(
        f"  {len(table['name']) // 20} kernels a call; a kernel runs {idle.busy_pct:.1f} % of the time,",
        end=" ",
    )
    print(
        f"gaps p50 {idle.p50_ns / 1000:.1f} us, p99 {idle.p99_ns / 1000:.1f} us;",
        f"{cupti.num_dropped()} dropped",
    )
    counts = first_of_each(count_kernels(infer, max_kernels=4096))
    print("   time  calls   mean us  occupancy: theory  reached     SM  tensor   DRAM  kernel (% of peak)")
    for kernel in top_kernels(table):
        reached = counts[kernel.name]
        print(
            f"  {kernel.share_pct:4.1f} % {kernel.num_launches // 20:5} {kernel.mean_ns / 1000:9.1f}"
            f" {kernel.theoretical_occupancy_pct:18.1f} {reached.occupancy_pct:8.1f}"
            f" {reached.sm_throughput_pct:6.1f} {reached.tensor_pct:7.1f} {reached.dram_pct:6.1f}"
            f"  {cupti.demangle(kernel.name)[:60]}"
        )


def main() -> int:
    arguments = parse_arguments()
    try:
        open_cupti().chip_name(0)
        for num_clips in arguments.clips:
            infer = make_infer(num_clips, arguments.half)
            print(f"{num_clips} clips, {'fp16' if arguments.half else 'fp32'}:")
            print_costs(measure(infer, arguments.seconds, arguments.repetitions))
            print_sampled(infer, arguments.seconds)
            print_kernels(infer)
    except CuptiUnavailable as error:
        print(f"cupti_cost.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
