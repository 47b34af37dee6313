"""How many requests a second the decoders manage, of different files and of the same ones again and again.

    python -m benchmarks.decoding --backend nvdec --workers 1 7 14

A request is RnB's: one clip of 8 frames ten times as often as fifteen, 112x112. NVDEC's workers are threads
of one process, each with a decoder of its own; PyAV's are processes. 'Different' files are played once each,
so that nothing is known of any; they are copies in a temporary folder, and in the page cache. 'Repeated' are
the files of `--data`, all of which were played before: that flatters. Both are measured in turn.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.different_videos import different_videos
from models.r2p1d.sampler import R2P1DSampler
from nvvl import RnBLoader
from nvvl.indexing import forget_indexes

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
    parser.add_argument("--files", type=int, default=1000, help="different files (%(default)s)")
    parser.add_argument("--max-gb", type=float, default=1.0, help="of different files (%(default)s)")
    args = parser.parse_args()
    samples = sorted(args.data.rglob("*.mp4"))
    if not samples:
        parser.error(f"--data {args.data}: no *.mp4 in it; python -m utils.sample_videos makes some")
    with different_videos(samples, args.files, int(args.max_gb * 1e9)) as files:
        for workers in args.workers:
            compare(args.backend, samples, files, workers, args.seconds, args.repeats)


def compare(
    backend: str, samples: Sequence[Path], files: Sequence[Path], workers: int, seconds: float, repeats: int
) -> None:
    """Measure both kinds of load in turn, and print them."""
    rates: dict[str, list[float]] = {"different": [], "repeated": []}
    for _ in range(repeats):
        rates["different"].append(measure(backend, samples, files, workers, seconds))
        rates["repeated"].append(measure(backend, samples, (), workers, seconds))
    ratio = statistics.median(rates["different"]) / statistics.median(rates["repeated"])
    for load, figures in rates.items():
        print(
            f"{backend}, {workers} workers, {load} files: {', '.join(f'{r:.1f}' for r in figures)} videos/s"
        )
    print(f"{backend}, {workers} workers: different files at {ratio:.3f} of the rate of repeated ones")
    print(
        json.dumps(
            {"benchmark": "decoding", "backend": backend, "workers": workers, "rates": rates, "ratio": ratio}
        )
    )


def measure(
    backend: str, samples: Sequence[Path], files: Sequence[Path], workers: int, seconds: float
) -> float:
    """Videos per second of all workers together, from when all have played the samples; of the different
    `files`, until they are used up, or of the samples again."""
    forget_indexes()
    if backend == "nvdec":
        pool: Any = ThreadPoolExecutor(workers)
        barrier: Barrier = threading.Barrier(workers)
        run = partial(work, backend, samples, files, seconds, workers, barrier)
        with pool:
            return float(sum(pool.map(run, range(workers))))
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        run = partial(work, backend, samples, files, seconds, workers, manager.Barrier(workers))
        return float(sum(pool.map(run, range(workers))))


def work(
    backend: str,
    samples: Sequence[Path],
    files: Sequence[Path],
    seconds: float,
    workers: int,
    barrier: Barrier,
    number: int,
) -> float:
    """One worker's videos per second."""
    torch.set_num_threads(1)
    device_id = 0 if backend == "nvdec" else None
    device = "cuda" if backend == "nvdec" else "cpu"
    out = torch.empty((MAX_CLIPS, 3, CLIP_LENGTH, SIZE, SIZE), dtype=torch.uint8, device=device)
    sampler = R2P1DSampler(CLIP_LENGTH)
    sampler.seed(0, request_id=number)
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, device_id, sampler, backend=backend) as loader:
        for path in samples:
            loader.decode_into(path, out)
        barrier.wait()
        own = files[number::workers] or itertools.cycle([*samples[number:], *samples[:number]])
        return play(loader, own, out, seconds)


def play(loader: RnBLoader, paths: Iterable[Path], out: torch.Tensor, seconds: float) -> float:
    started = time.perf_counter()
    num_videos = 0
    for num_videos, path in enumerate(paths, 1):  # noqa: B007
        loader.decode_into(path, out)
        if time.perf_counter() - started >= seconds:
            break
    if out.is_cuda:
        torch.cuda.synchronize()
    return num_videos / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
