"""How many requests a second the decoders manage.

    python -m benchmarks.decoding --backend nvdec --workers 1 7 14

A request is RnB's: one clip of 8 frames ten times as often as fifteen, 112x112. NVDEC's workers are threads
of one process, each with a decoder of its own; PyAV's are processes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from models.r2p1d.sampler import R2P1DSampler
from nvvl import RnBLoader

CLIP_LENGTH = 8
MAX_CLIPS = 15
SIZE = 112

Barrier = Any  # threading's and multiprocessing's have no common type.


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", choices=("nvdec", "pyav"), default="pyav")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="try each number (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="per number of workers (%(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="measurements of each (%(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data/videos"))
    args = parser.parse_args()
    paths = sorted(str(path) for path in args.data.rglob("*.mp4"))
    if not paths:
        parser.error(f"--data {args.data}: no *.mp4 in it; python -m utils.sample_videos makes some")
    for workers in args.workers:
        rates = [measure(args.backend, paths, workers, args.seconds) for _ in range(args.repeats)]
        print(f"{args.backend}, {workers} workers: {', '.join(f'{rate:.1f}' for rate in rates)} videos/s")
        print(
            json.dumps({"benchmark": "decoding", "backend": args.backend, "workers": workers, "rates": rates})
        )


def measure(backend: str, paths: Sequence[str], workers: int, seconds: float) -> float:
    """Videos per second of all workers together, from when all are warm."""
    if backend == "nvdec":
        pool: Any = ThreadPoolExecutor(workers)
        barrier: Barrier = threading.Barrier(workers)
        run = partial(work, backend, paths, seconds, barrier)
        with pool:
            return float(sum(pool.map(run, range(workers))))
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        run = partial(work, backend, paths, seconds, manager.Barrier(workers))
        return float(sum(pool.map(run, range(workers))))


def work(backend: str, paths: Sequence[str], seconds: float, barrier: Barrier, number: int) -> float:
    """One worker's videos per second."""
    torch.set_num_threads(1)
    device_id = 0 if backend == "nvdec" else None
    device = "cuda" if backend == "nvdec" else "cpu"
    out = torch.empty((MAX_CLIPS, 3, CLIP_LENGTH, SIZE, SIZE), dtype=torch.uint8, device=device)
    sampler = R2P1DSampler(CLIP_LENGTH)
    sampler.seed(0, request_id=number)
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, device_id, sampler, backend=backend) as loader:
        for path in paths:
            loader.decode_into(path, out)
        barrier.wait()
        return repeat(loader, paths, out, seconds, number)


def repeat(loader: RnBLoader, paths: Sequence[str], out: torch.Tensor, seconds: float, number: int) -> float:
    started = time.perf_counter()
    num_videos = 0
    while time.perf_counter() - started < seconds:
        loader.decode_into(paths[(number + num_videos) % len(paths)], out)
        num_videos += 1
    if out.is_cuda:
        torch.cuda.synchronize()
    return num_videos / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
