"""What it costs to cross from one node to another, beside a raw socket and Ray. python -m benchmarks.hosts

Both nodes are this machine, so the network is the loopback; a bridge has its share of the same cores.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks.measuring import run_pipeline, show, spread, stages, throughput

SLOT_BYTES = 15 * 3 * 8 * 112 * 112 * 4
NUM_RAW = 300
NUM_CALLS = 2000
NOTHING, PRODUCE, CONSUME = (f"models.nothing.model.{name}" for name in ("Nothing", "Produce", "Consume"))
RECEIVER = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connected:
    target = memoryview(bytearray(int(sys.argv[2])))
    for _ in range(int(sys.argv[3])):
        rest = target
        while len(rest):
            rest = rest[connected.recv_into(rest):]
    connected.sendall(b"done")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-n", "--repeats", type=int, default=3, help="runs of each kind (default %(default)s)"
    )
    parser.add_argument(
        "-v", "--videos", type=int, default=1500, help="requests of a run (default %(default)s)"
    )
    parser.add_argument("--data", default="data/videos", help="any folder of videos; none is opened")
    args = parser.parse_args()
    flags = ("--data", args.data, "--device", "cpu", "-v", str(args.videos))
    hops: dict[str, list[dict[str, Any]]] = {"0:-1": [], "1:-1": []}
    crossed, raw = [], []
    for _ in range(args.repeats):  # in turn, so that other work meets all alike
        for place, found in hops.items():
            run = play([(NOTHING, "0:-1"), (NOTHING, place)], "-mi", "5", *flags)
            found.append(stages(run)["wait for step 1"])
        bulk = play([(PRODUCE, "0:-1"), (CONSUME, "1:-1")], "-mi", "0", *flags)
        crossed.append(throughput(bulk) * SLOT_BYTES / 1e9)
        raw.append(raw_gb_per_s())
    hop_us = {
        where: {p: spread([one[p] for one in hops[place]]) for p in ("p50", "p99")}
        for where, place in (("within a node", "0:-1"), ("between nodes", "1:-1"))
    }
    share = spread([one / other for one, other in zip(crossed, raw, strict=True)])
    ray = ray_us()
    there, here = hop_us["between nodes"], hop_us["within a node"]
    show(
        "hosts",
        f"a hop without tensors: {there['p50']['median']:.0f} us (p50), {there['p99']['median']:.0f} us (p99)"
        f" between nodes, {here['p50']['median']:.0f} and {here['p99']['median']:.0f} us within one; slots of"
        f" 18 MB: {spread(crossed)['median']:.2f} GB/s, {share['median']:.0%} of a raw socket; Ray: {ray}",
        {
            "hop_us": hop_us,
            "slots_gb_per_s": spread(crossed),
            "raw_gb_per_s": spread(raw),
            "share": share,
            "ray": ray,
        },
    )


def play(steps: list[tuple[str, str]], *flags: str) -> Any:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump([{"model": model, "gpus": [place]} for model, place in steps], config)
        config.flush()
        return run_pipeline(config.name, "--cluster", "local:2", *flags)


def raw_gb_per_s() -> float:
    """Of one connection between two processes that do nothing else."""
    data = memoryview(bytes(SLOT_BYTES))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        arguments = map(str, (listening.getsockname()[1], SLOT_BYTES, NUM_RAW))
        receiver = subprocess.Popen([sys.executable, "-c", RECEIVER, *arguments])
        connected, _ = listening.accept()
        with connected:
            start = time.perf_counter()
            for _ in range(NUM_RAW):
                connected.sendall(data)
            connected.recv(4)
            seconds = time.perf_counter() - start
        receiver.wait()
    return NUM_RAW * SLOT_BYTES / seconds / 1e9


def ray_us() -> dict[str, float] | str:
    """An actor's answer, and the same with 18 MB there and back; both of another process."""
    try:
        import ray
    except ImportError:
        return "not installed"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")

    class Echo:
        def answer(self, value: Any) -> Any:
            return value

    actor = ray.remote(Echo).remote()
    slot = np.zeros(SLOT_BYTES, np.uint8)

    def median_us(value: Any, count: int) -> float:
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            ray.get(actor.answer.remote(value))
            taken.append(time.perf_counter() - start)
        return round(float(np.median(taken)) * 1e6, 1)

    median_us(0, 50)
    found = {"call_p50": median_us(0, NUM_CALLS), "18_mb_there_and_back_p50": median_us(slot, 50)}
    ray.shutdown()
    return found


if __name__ == "__main__":
    main()
