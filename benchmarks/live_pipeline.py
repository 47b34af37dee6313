"""What serving costs without a front end: steps that do nothing. python -m benchmarks.live_pipeline"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import show, spread
from rnb.contract.events import DUE, Event, EventKind
from rnb.live.asking import Ask
from rnb.live.pipeline import Pipeline
from rnb.live.settings import Serving
from rnb.pipeline.config import read_config
from rnb.spec import Placement, RunSpec

NUM_ALONE, NUM_WARM_UP = 2000, 500
TICK_S = 0.001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--repeats", type=int, default=3, help="default %(default)s")
    parser.add_argument("-v", "--requests", type=int, default=20_000, help="of each, default %(default)s")
    parser.add_argument("-c", "--config", default="config/empty.json")
    parser.add_argument("--in-flight", type=int, default=100, help="default %(default)s")
    parser.add_argument("--num-bytes", type=int, default=4096, help="of a request, default %(default)s")
    args = parser.parse_args()
    found = [asyncio.run(measure(args)) for _ in range(args.repeats)]
    figures = {name: spread([one[name] for one in found]) for name in found[0]}
    show(
        "live pipeline",
        f"{figures['requests_per_s']['median']:.0f} requests/s with {args.in_flight} in flight,"
        f" each {figures['server_cpu_us']['median']:.0f} µs of CPU time of the server and"
        f" {figures['replicas_cpu_us']['median']:.0f} µs of its replicas; one alone takes"
        f" {figures['alone_p50_us']['median']:.0f} µs (p50),"
        f" {figures['alone_p99_us']['median']:.0f} µs (p99); the loop's longest pause while a part is written"
        f" {figures['longest_pause_ms']['median']:.0f} ms",
        figures,
    )


async def measure(args: argparse.Namespace) -> dict[str, float]:
    """One server: requests alone, then many at once, then the part with all of them written beside more."""
    ask = Ask(payload=bytes(args.num_bytes))
    spec = RunSpec(config=read_config(args.config), placement=Placement(device="cpu"))
    with tempfile.TemporaryDirectory() as logs:
        log_part = NUM_WARM_UP + NUM_ALONE + args.requests
        pipeline = await Pipeline.start(spec, Serving(logs=Path(logs), log_part=log_part))
        for _ in range(NUM_WARM_UP):
            await pipeline.serve(ask)
        alone_us = [await one(pipeline, ask) for _ in range(NUM_ALONE)]
        at_once = await many(pipeline, ask, args.requests, args.in_flight)
        pauses = asyncio.ensure_future(longest_pause_ms())
        await many(pipeline, ask, args.requests // 2, args.in_flight)
        pauses.cancel()
        await pipeline.drain(60)
    return {
        **at_once,
        "alone_p50_us": float(np.percentile([times["all"] for times in alone_us], 50)),
        "alone_p99_us": float(np.percentile([times["all"] for times in alone_us], 99)),
        **{f"{part}_us": float(np.median([times[part] for times in alone_us])) for part in alone_us[0]},
        "longest_pause_ms": await pauses,
    }


async def one(pipeline: Pipeline, ask: Ask) -> dict[str, float]:
    """How long a request took, and its hops, in µs."""
    began_ns = time.perf_counter_ns()
    answer = await pipeline.serve(ask)
    ended_ns, last = time.perf_counter_ns(), len(pipeline.steps) - 1
    in_ns = answer.times_ns[Event(EventKind.TAKEN, 0)]
    out_ns = answer.times_ns[Event(EventKind.FINISHED, last)]
    assert began_ns <= answer.times_ns[DUE]
    return {
        "all": (ended_ns - began_ns) / 1e3,
        "to_step_0": (in_ns - began_ns) / 1e3,
        "steps": (out_ns - in_ns) / 1e3,
        "back": (ended_ns - out_ns) / 1e3,
    }


async def many(pipeline: Pipeline, ask: Ask, num_requests: int, in_flight: int) -> dict[str, float]:
    async def some() -> None:
        for _ in range(num_requests // in_flight):
            await pipeline.serve(ask)

    pids = [step["pid"] for step in pipeline.replicas]
    began, cpu, cpu_of_replicas = time.perf_counter(), cpu_s(), cpu_s_of(pids)
    await asyncio.gather(*(some() for _ in range(in_flight)))
    num_served = num_requests // in_flight * in_flight
    return {
        "requests_per_s": num_served / (time.perf_counter() - began),
        "server_cpu_us": (cpu_s() - cpu) / num_served * 1e6,
        "replicas_cpu_us": (cpu_s_of(pids) - cpu_of_replicas) / num_served * 1e6,
    }


def cpu_s() -> float:
    """Of this process, all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_s_of(pids: list[int]) -> float:
    """Of other processes."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def longest_pause_ms() -> Any:
    """Until it is cancelled: how long the loop was away at most."""
    longest, last = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            longest, last = max(longest, now - last - TICK_S), now
    except asyncio.CancelledError:
        return longest * 1e3


if __name__ == "__main__":
    main()
