"""What it costs to cross from one node to another, beside bare sockets and Ray. python -m benchmarks.hosts

Both nodes are this machine, so the network is the loopback; a bridge has its share of the same cores. Between
two messages without tensors there are PAUSE_S, so that whoever waits for one has gone to sleep.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.measuring import run_pipeline, show, spread, throughput
from rnb.analysis.statistics import stage_durations_ms
from rnb.contract.events import Stage, StageKind
from rnb.record.run import Run

SLOT_BYTES = 15 * 3 * 8 * 112 * 112 * 4
NUM_SLOTS = 10
NUM_RAW = 300
NUM_CALLS, NUM_LARGE_CALLS = 500, 50
PAUSE_S = 0.005
NUM_MESSAGE_BYTES = 200
NOTHING, PRODUCE, CONSUME = (f"models.nothing.model.{name}" for name in ("Nothing", "Produce", "Consume"))
SLOT_RECEIVER = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connected:
    targets = [memoryview(bytearray(int(sys.argv[2]))) for _ in range(int(sys.argv[4]))]
    for number in range(int(sys.argv[3])):
        rest = targets[number % len(targets)]
        while len(rest):
            rest = rest[connected.recv_into(rest):]
    connected.sendall(b"done")
"""
MESSAGE_RECEIVER = """
import socket, struct, sys, time
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connected:
    for _ in range(int(sys.argv[3])):
        message = connected.recv(int(sys.argv[2]), socket.MSG_WAITALL)
        print(time.perf_counter_ns() - int.from_bytes(message[:8], "little"))
"""
WITHIN, BETWEEN = "within a node", "between nodes"
BARE, CALL, COMPILED = "a bare socket", "Ray, an actor's answer", "Ray, a compiled graph's answer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-n", "--repeats", type=int, default=3, help="runs of each kind (default %(default)s)"
    )
    parser.add_argument(
        "-v", "--videos", type=int, default=1500, help="requests of a run (default %(default)s)"
    )
    parser.add_argument("--data", default="data/videos", help="any folder of videos; none is opened")
    parser.add_argument("--no-ray", action="store_true", help="leave Ray out, which takes most of the time")
    args = parser.parse_args()
    flags = ("--data", args.data, "--device", "cpu", "-v", str(args.videos))
    small: dict[str, list[dict[str, float]]] = {}
    large: dict[str, list[float]] = {}
    for _ in range(args.repeats):  # in turn, so that other work meets all alike
        for where, place in ((WITHIN, "0:-1"), (BETWEEN, "1:-1")):
            run = play([(NOTHING, "0:-1"), (NOTHING, place)], "-mi", str(PAUSE_S * 1000), *flags)
            small.setdefault(where, []).append(percentiles(hops_us(run)))
        small.setdefault(BARE, []).append(percentiles(bare_hops_us()))
        bulk = play([(PRODUCE, "0:-1"), (CONSUME, "1:-1")], "-mi", "0", *flags)
        large.setdefault(BETWEEN, []).append(throughput(bulk) * SLOT_BYTES / 1e9)
        large.setdefault(BARE, []).append(raw_gb_per_s())
        if args.no_ray:
            continue
        with ray_calls() as calls:  # its processes are not there while the others are measured
            for name, call in calls.items():
                small.setdefault(name, []).append(percentiles(times_us(call, 0, NUM_CALLS, PAUSE_S)))
                taken_us = times_us(call, np.zeros(SLOT_BYTES, np.uint8), NUM_LARGE_CALLS, 0)
                large.setdefault(name, []).append(SLOT_BYTES / float(np.median(taken_us)) / 1e3)
    figures: dict[str, dict[str, Any]] = {
        "us": {
            name: {p: spread([one[p] for one in found]) for p in found[0]} for name, found in small.items()
        },
        "gb_per_s": {name: spread(found) for name, found in large.items()},
        "share": spread([one / other for one, other in zip(large[BETWEEN], large[BARE], strict=True)]),
    }
    hops = "; ".join(f"{name} {one['p50']['median']:.0f}" for name, one in figures["us"].items())
    slots = "; ".join(f"{name} {one['median']:.2f}" for name, one in figures["gb_per_s"].items())
    show("hosts", f"us without tensors (p50): {hops}. GB/s of 18 MB slots: {slots}", figures)


def play(steps: list[tuple[str, str]], *flags: str) -> Run:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        pipeline: list[dict[str, Any]] = [{"model": model, "gpus": [place]} for model, place in steps]
        pipeline[0]["num_shared_tensors"] = NUM_SLOTS
        json.dump(pipeline, config)
        config.flush()
        return run_pipeline(config.name, "--cluster", "local:2", *flags)


def hops_us(run: Run) -> list[float]:
    durations_ms = stage_durations_ms(run, run.finished)[Stage(StageKind.WAIT, 1)]
    return [1000 * one for one in durations_ms.tolist()]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    return {"min": float(min(values)), **{f"p{p}": float(np.percentile(values, p)) for p in (50, 99)}}


def raw_gb_per_s() -> float:
    """Of one connection between two processes that do nothing else, each with as many buffers as there are
    slots: a single one would stay in the cache."""
    buffers = [bytearray(b"1") * SLOT_BYTES for _ in range(NUM_SLOTS)]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        arguments = map(str, (listening.getsockname()[1], SLOT_BYTES, NUM_RAW, NUM_SLOTS))
        receiver = subprocess.Popen([sys.executable, "-c", SLOT_RECEIVER, *arguments])
        connected, _ = listening.accept()
        with connected:
            start = time.perf_counter()
            for number in range(NUM_RAW):
                connected.sendall(buffers[number % NUM_SLOTS])
            connected.recv(4)
            seconds = time.perf_counter() - start
        receiver.wait()
    return NUM_RAW * SLOT_BYTES / seconds / 1e9


def bare_hops_us() -> list[float]:
    """From one process to another over a socket, one way; both read the same clock."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        arguments = map(str, (listening.getsockname()[1], NUM_MESSAGE_BYTES, NUM_CALLS))
        command = [sys.executable, "-c", MESSAGE_RECEIVER, *arguments]
        receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        connected, _ = listening.accept()
        with connected:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(NUM_CALLS):
                time.sleep(PAUSE_S)
                now = time.perf_counter_ns().to_bytes(8, "little")
                connected.sendall(now + bytes(NUM_MESSAGE_BYTES - len(now)))
            told, _ = receiver.communicate()
    return [int(line) / 1000 for line in told.split()]


@contextlib.contextmanager
def ray_calls() -> Iterator[dict[str, Callable[[Any], Any]]]:
    """Of actors in other processes that give back what they are given; none where Ray is not installed."""
    try:
        import ray
    except ImportError:
        yield {}
        return
    from ray.dag import InputNode

    class Echo:
        def answer(self, value: Any) -> Any:
            return value

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    remote = ray.remote(Echo)
    actor = remote.remote()
    with InputNode() as given:
        graph = remote.remote().answer.bind(given)
    compiled = graph.experimental_compile(_buffer_size_bytes=2 * SLOT_BYTES)
    calls = {
        CALL: lambda value: ray.get(actor.answer.remote(value)),
        COMPILED: lambda value: ray.get(compiled.execute(value)),
    }
    for call in calls.values():
        times_us(call, 0, 50, 0)
    yield calls
    compiled.teardown()
    ray.shutdown()


def times_us(call: Callable[[Any], Any], value: Any, count: int, pause_s: float) -> list[float]:
    taken = []
    for _ in range(count):
        time.sleep(pause_s)
        start = time.perf_counter()
        call(value)
        taken.append((time.perf_counter() - start) * 1e6)
    return taken


if __name__ == "__main__":
    main()
