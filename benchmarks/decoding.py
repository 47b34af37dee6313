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
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.different_videos import different_videos
from benchmarks.measuring import check_gpu, samples_in
from models.r2p1d.sampler import R2P1DSampler
from nvvl import RnBLoader
from nvvl.indexing import forget_indexes
from rnb.command_line.number_types import more_than_0, whole_number

CLIP_LENGTH = 8
MAX_CLIPS = 15
SIZE = 112

Barrier = Any  # threading's and multiprocessing's have no common type.


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", choices=("nvdec", "pyav"), default="pyav")
    parser.add_argument(
        "--workers", type=whole_number(1), nargs="+", default=[1], help="try each number (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=more_than_0, default=5.0, help="per number of workers (%(default)s)"
    )
    parser.add_argument(
        "--repeats", type=whole_number(1), default=1, help="measurements of each (%(default)s)"
    )
    parser.add_argument("--data", type=Path, default=Path("data/videos"))
    parser.add_argument("--files", type=whole_number(1), default=1000, help="different files (%(default)s)")
    parser.add_argument("--max-gb", type=more_than_0, default=1.0, help="of different files (%(default)s)")
    args = parser.parse_args()
    samples = samples_in(parser, args.data)
    if args.backend == "nvdec":
        check_gpu(parser, "--backend nvdec")
    with different_videos(samples, args.files, int(args.max_gb * 1e9)) as files:
        if len(files) < max(args.workers):
            parser.error(f"--workers {max(args.workers)}: {len(files)} different files; each needs its own")
        for workers in args.workers:
            compare(args.backend, samples, files, workers, args.seconds, args.repeats)


def compare(
    backend: str, samples: Sequence[Path], files: Sequence[Path], workers: int, seconds: float, repeats: int
) -> None:
    """Measure both kinds of load in turn, and print them."""
    measured: dict[str, list[Measured]] = {"different": [], "repeated": []}
    for _ in range(repeats):
        measured["different"].append(measure(backend, samples, files, workers, seconds))
        measured["repeated"].append(measure(backend, samples, (), workers, seconds))
    head = f"{backend}, {workers} workers"
    for load, figures in measured.items():
        rates = ", ".join(f"{one.videos_per_s:.1f}" for one in figures)
        cpu_ms = ", ".join(f"{one.cpu_ms:.1f}" for one in figures)
        print(f"{head}, {load} files: {rates} videos/s, {cpu_ms} ms of CPU time each")
    different, repeated = measured["different"], measured["repeated"]
    ratio = median(one.videos_per_s for one in different) / median(one.videos_per_s for one in repeated)
    cpu_ratio = median(one.cpu_ms for one in repeated) / median(one.cpu_ms for one in different)
    print(f"{head}: different files at {ratio:.3f} of the rate of repeated ones; by CPU time {cpu_ratio:.3f}")
    facts_of = {load: [asdict(one) for one in ones] for load, ones in measured.items()}
    facts = {"benchmark": "decoding", "backend": backend, "workers": workers, "figures": facts_of}
    print(json.dumps({**facts, "ratio": ratio, "cpu_ratio": cpu_ratio}))


@dataclass(frozen=True)
class Measured:
    """The rate of all workers together, and the CPU time of a worker's own thread for a video."""

    videos_per_s: float
    cpu_ms: float

    @classmethod
    def together(cls, workers: Iterable[Measured]) -> Measured:
        parts = list(workers)
        return cls(sum(part.videos_per_s for part in parts), statistics.mean(part.cpu_ms for part in parts))


def measure(
    backend: str, samples: Sequence[Path], files: Sequence[Path], workers: int, seconds: float
) -> Measured:
    """Videos per second of all workers together, from when all have played the samples; of the different
    `files`, until they are used up, or of the samples again."""
    forget_indexes()
    if backend == "nvdec":
        pool: Any = ThreadPoolExecutor(workers)
        barrier: Barrier = threading.Barrier(workers)
        run = partial(work, backend, samples, files, seconds, workers, barrier)
        with pool:
            return Measured.together(pool.map(run, range(workers)))
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        run = partial(work, backend, samples, files, seconds, workers, manager.Barrier(workers))
        return Measured.together(pool.map(run, range(workers)))


def work(
    backend: str,
    samples: Sequence[Path],
    files: Sequence[Path],
    seconds: float,
    workers: int,
    barrier: Barrier,
    number: int,
) -> Measured:
    """What one worker manages."""
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


def play(loader: RnBLoader, paths: Iterable[Path], out: torch.Tensor, seconds: float) -> Measured:
    started, cpu_started = time.perf_counter(), time.thread_time()
    num_videos = 0
    for num_videos, path in enumerate(paths, 1):  # noqa: B007
        loader.decode_into(path, out)
        if time.perf_counter() - started >= seconds:
            break
    if out.is_cuda:
        torch.cuda.synchronize()
    cpu_ms = 1000 * (time.thread_time() - cpu_started) / num_videos
    return Measured(num_videos / (time.perf_counter() - started), cpu_ms)


if __name__ == "__main__":
    main()
