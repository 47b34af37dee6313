"""What RnB's own code costs beside the least that the same work takes, as ratios of CPU time.

    python -m benchmarks.ratios

Both sides run in one process, in turn, on the same input, so that a ratio means the same on any machine, also
on one with other work. Continuous integration holds them below bounds (tests/test_ratios.py).
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import av
import torch

from benchmarks.measuring import samples_in, show
from models.r2p1d.sampler import R2P1DSampler
from nvvl import RnBLoader
from nvvl.indexing import forget_indexes
from nvvl.sampler import Sampler
from rnb.transport.local.queues import MessageQueue

CLIP_LENGTH, SIZE = 8, 112
MOST_CLIPS, NUM_MESSAGES = 15, 2000


class EveryClip(Sampler):
    """All frames of a video, in clips that follow each other."""

    def sample(self, length: int) -> list[int]:
        return list(range(0, length - CLIP_LENGTH + 1, CLIP_LENGTH))


def decoding(video: Path, num_turns: int) -> float:
    """Decoding all frames of a file that was never seen before, scaled and as RGB in a tensor, over decoding
    them with FFmpeg alone."""
    with av.open(str(video)) as container:
        num_frames = container.streams.video[0].frames
    out = torch.empty(num_frames // CLIP_LENGTH, 3, CLIP_LENGTH, SIZE, SIZE, dtype=torch.uint8)
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, -1, EveryClip(), backend="pyav") as loader:

        def load() -> None:
            forget_indexes()
            loader.decode_into(video, out)

        return ratio(load, lambda: _decode(video), num_turns)


def new_file(videos: Sequence[Path], num_turns: int) -> float:
    """Requests for files that were never seen before, over the same requests when their indexes are known;
    RnB's sampler draws the clips."""
    sampler = R2P1DSampler(CLIP_LENGTH)
    out = torch.empty(MOST_CLIPS, 3, CLIP_LENGTH, SIZE, SIZE, dtype=torch.uint8)
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, -1, sampler, backend="pyav") as loader:

        def play(*, is_new: bool) -> None:
            if is_new:
                forget_indexes()
            for request_id, video in enumerate(videos):
                sampler.seed(0, request_id=request_id)
                loader.decode_into(video, out)

        return ratio(partial(play, is_new=True), partial(play, is_new=False), num_turns)


def _decode(video: Path) -> None:
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass


def queue(num_turns: int) -> float:
    """Putting a message into a queue and taking it out again, over the same with multiprocessing's
    SimpleQueue."""
    context = multiprocessing.get_context("spawn")
    ours = MessageQueue("a queue", capacity=16, num_writers=1, context=context)
    theirs = context.SimpleQueue()
    message = ((7,), "data/videos/bikes/bikes_0.mp4", 3, (8,))

    def pass_on() -> None:
        for _ in range(NUM_MESSAGES):
            ours.put(message)
            ours.take(1.0)

    def pass_on_simply() -> None:
        for _ in range(NUM_MESSAGES):
            theirs.put(message)
            theirs.get()

    return ratio(pass_on, pass_on_simply, num_turns)


def ratio(ours: Callable[[], None], theirs: Callable[[], None], num_turns: int) -> float:
    """The median over turns of the CPU time that one takes over that of the other, right behind it."""
    ours()
    theirs()
    return median(_cpu_s(ours) / _cpu_s(theirs) for _ in range(num_turns))


def _cpu_s(work: Callable[[], None]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data/videos"))
    parser.add_argument("--turns", type=int, default=15, help="of each (%(default)s)")
    args = parser.parse_args()
    videos = samples_in(parser, args.data)
    torch.set_num_threads(1)
    ratios = {
        "decoding": decoding(videos[0], args.turns),
        "new file": new_file(videos, args.turns),
        "queue": queue(args.turns),
    }
    show("ratios", ", ".join(f"{name}: {value:.2f}" for name, value in ratios.items()), ratios)


if __name__ == "__main__":
    main()
