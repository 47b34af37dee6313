"""What a request costs the loader on the CPU, in CPU time, in this checkout and in another one.

    python -m benchmarks.request_cost --beside ../rnb-before

A request is RnB's (one clip of 8 frames ten times as often as fifteen, 112x112), for a file that was never
seen before. A process of each checkout plays the same requests in turn, so that other work on the machine
slows down both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from benchmarks.different_videos import different_videos
from benchmarks.measuring import ROOT, samples_in, show

NUM_WARM_UPS = 16
# Run in either checkout: for each path on stdin, the milliseconds of CPU time of its request.
WORKER = """
import sys, time
import torch
from models.r2p1d.sampler import R2P1DSampler
from nvvl import RnBLoader

torch.set_num_threads(1)
sampler, out = R2P1DSampler(8), torch.empty(15, 3, 8, 112, 112, dtype=torch.uint8)
with RnBLoader(112, 112, 8, -1, sampler, backend="pyav") as loader:
    for request_id, line in enumerate(sys.stdin):
        sampler.seed(0, request_id=request_id)
        begin = time.thread_time()
        loader.decode_into(line.rstrip(), out)
        print(1000 * (time.thread_time() - begin), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beside", type=Path, required=True, help="another checkout of RnB")
    parser.add_argument("--data", type=Path, default=Path("data/videos"))
    parser.add_argument("--requests", type=int, default=300, help="of each (%(default)s)")
    args = parser.parse_args()
    samples = samples_in(parser, args.data)
    with different_videos(samples, NUM_WARM_UPS + args.requests, 10**9) as files:
        ours, theirs = played_in_turn((ROOT, args.beside), files)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    show(
        "request_cost",
        f"{median(ours):.1f} ms, {median(theirs):.1f} in {args.beside}; ratio {middle:.3f}"
        f" (half of them {low:.3f} to {high:.3f}), {sum(ours) / sum(theirs):.3f} of all together",
        {"cpu_ms": median(ours), "cpu_ms_beside": median(theirs), "ratio": middle, "requests": len(ratios)},
    )


def played_in_turn(checkouts: Sequence[Path], files: Sequence[Path]) -> list[list[float]]:
    """For each checkout the milliseconds of its requests."""
    workers = [worker(checkout.resolve()) for checkout in checkouts]
    costs: list[list[float]] = [[] for _ in workers]
    for number, file in enumerate(files):
        for place in sorted(range(len(workers)), reverse=bool(number % 2)):
            costs[place].append(cost(workers[place], file))
    for process in workers:
        process.communicate()
    return [ones[NUM_WARM_UPS:] for ones in costs]


def worker(checkout: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER],
        cwd=checkout,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def cost(process: subprocess.Popen[str], file: Path) -> float:
    """Raises RuntimeError where the worker has ended; what it says of that is on stderr."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{file}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{file}: the worker has ended")
    return float(line)


if __name__ == "__main__":
    main()
