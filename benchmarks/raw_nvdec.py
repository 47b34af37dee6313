"""The rate of a GPU's video engines alone, in C++ with nothing around. python -m benchmarks.raw_nvdec

Streams lie in memory and are played from beginning to end by each thread, and every picture is mapped. A
request needs some of a video's frames, so the rate in videos is that in frames over what R2P1DSampler's clips
need of the samples on average.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.measuring import samples_in
from models.r2p1d.sampler import R2P1DSampler
from nvvl.engine_feed import annexb
from nvvl.index import Run, VideoIndex
from nvvl.indexing import index_of
from nvvl.native.library import CODECS
from nvvl.pace import Pace
from nvvl.picked_clips import num_decoded, picked_clips
from nvvl.reader import payloads_of
from nvvl.video_file import VideoFile
from rnb.command_line.number_types import more_than_0, whole_number

SOURCE = Path(__file__).with_suffix(".cpp")
CLIP_LENGTH = 8
DRAWS = 200


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--threads", type=whole_number(1), nargs="+", default=[14], help="try each number (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=more_than_0, default=4.0, help="per number of threads (%(default)s)"
    )
    parser.add_argument(
        "--repeats", type=whole_number(1), default=1, help="measurements of each (%(default)s)"
    )
    parser.add_argument("--data", type=Path, default=Path("data/videos"))
    args = parser.parse_args()
    samples = samples_in(parser, args.data)
    frames = frames_needed(samples)
    for threads in args.threads:
        try:
            rates = [measure(samples, threads, args.seconds) for _ in range(args.repeats)]
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            sys.exit(_why(error))
        for rate in rates:
            print(
                f"raw nvdec, {threads} threads: {rate.frames_per_s:,.0f} frames/s, {rate.cores:.2f} cores;"
                f" at {frames:.1f} frames a video {rate.frames_per_s / frames:.1f} videos/s"
            )
        figures = [rate.frames_per_s for rate in rates]
        facts = {"benchmark": "raw_nvdec", "threads": threads, "frames_per_s": figures}
        print(json.dumps({**facts, "cores": [rate.cores for rate in rates], "frames_per_video": frames}))


@dataclass(frozen=True)
class Rate:
    """Pictures per second of all threads together, and the cores that they kept busy."""

    frames_per_s: float
    cores: float


def measure(paths: Sequence[Path], threads: int, seconds: float) -> Rate:
    """Of videos of one codec, played in turn. Raises as `compiled`, and CalledProcessError without a GPU."""
    with tempfile.TemporaryDirectory(prefix="rnb-raw-") as folder:
        program, streams = Path(folder, "raw_nvdec"), []
        program.write_bytes(compiled())
        program.chmod(0o700)
        for number, path in enumerate(paths):
            codec, content = elementary_stream(path)
            streams.append(Path(folder, f"{number}.stream"))
            streams[-1].write_bytes(content)
        options = [str(threads), str(seconds), str(CODECS[codec])]
        result = subprocess.run(
            [program, *options, *map(str, streams)], check=True, capture_output=True, text=True
        )
        frames, cores = result.stdout.split()
        return Rate(float(frames), float(cores))


def _why(error: subprocess.CalledProcessError | FileNotFoundError) -> str:
    """In a line: what the program said last, or that there is no compiler."""
    if isinstance(error, FileNotFoundError):
        return f"raw_nvdec: {error.filename} is not here, which compiles its program"
    said = (error.stderr or "").strip().splitlines()
    return said[-1] if said else f"raw_nvdec: {error}"


@cache
def compiled() -> bytes:
    """The program. Raises CalledProcessError, FileNotFoundError: no compiler."""
    with tempfile.TemporaryDirectory(prefix="rnb-raw-") as folder:
        program = Path(folder, "raw_nvdec")
        command = ["g++", "-std=c++17", "-O2", str(SOURCE), "-o", str(program), "-ldl", "-pthread"]
        subprocess.run(command, check=True)
        return program.read_bytes()


def elementary_stream(path: Path) -> tuple[str, bytes]:
    """The codec of a video and all its packets, with start codes and behind its parameter sets."""
    with VideoFile(str(path)) as file:
        index = index_of(file)
        return index.info.codec, b"".join(annexb(index, payloads_of(file, index, whole(index))))


def whole(index: VideoIndex) -> Run:
    return Run(0, len(index.packets) - 1, frozenset(range(index.num_frames)))


def frames_needed(paths: Sequence[Path]) -> float:
    """How many pictures have to be decoded for a request, on average over files and draws of the sampler."""
    counts = []
    sampler = R2P1DSampler(CLIP_LENGTH)
    for number, path in enumerate(paths):
        with VideoFile(str(path)) as file:
            index = index_of(file)
        for draw in range(DRAWS):
            sampler.seed(0, request_id=number * DRAWS + draw)
            counts.append(num_decoded(index, picked_clips(index, sampler, Pace(), CLIP_LENGTH)))
    return statistics.mean(counts)


if __name__ == "__main__":
    main()
