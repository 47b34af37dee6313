"""Videos as cameras and studios make them, on every decoder. python -m benchmarks.large_videos

For each kind: the video engines alone (raw_nvdec), decoder threads on NVDEC, decoders on all CPUs, a pipeline
and its loader alone. The videos are the samples, enlarged and with the grain of a camera, and no file is
played twice. The CPUs are measured while the engines rest: the sum of both is more than a machine can give.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from benchmarks import decoding, raw_nvdec
from benchmarks.different_videos import different_videos
from benchmarks.measuring import ROOT, run_pipeline, samples_in, show, spread, throughput
from benchmarks.whole_pipelines import busiest, decode_only, gpu_memory_gb
from nvvl import engine_pictures
from nvvl.errors import UnsupportedVideo
from nvvl.indexing import index_of
from nvvl.video_file import VideoFile
from rnb.command_line.number_types import more_than_0, whole_number

FRAMES, FRAMES_PER_S = 300, 30
GRAIN = 3.0
SEED = 0
NUM_GRAINS = 16


@dataclass(frozen=True)
class Kind:
    """How a video is encoded; `options` are those of FFmpeg's encoder."""

    encoder: str
    width: int
    height: int
    mbit_s: float
    options: dict[str, str] = field(default_factory=dict)
    pixel_format: str = "yuv420p"


X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=250"}
KINDS = {
    "h264-1080p": Kind("libx264", 1920, 1080, 6, {"preset": "veryfast", "bf": "3", "g": "250"}),
    "hevc-720p": Kind("libx265", 1280, 720, 2.5, X265),
    "h264-720p-camera": Kind("libx264", 1280, 720, 3, {"preset": "veryfast", "bf": "0", "g": "30"}),
    "hevc-1080p": Kind("libx265", 1920, 1080, 4, X265),
    "hevc-1080p-10bit": Kind("libx265", 1920, 1080, 5, X265, "yuv420p10le"),
    "av1-720p": Kind("libsvtav1", 1280, 720, 2, {"preset": "10", "g": "250", "svtav1-params": "lp=2"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    on_gpu = torch.cuda.is_available()
    parser.add_argument(
        "-c",
        "--config",
        default=f"config/r2p1d-{'fast' if on_gpu else 'cpu'}.json",
        help="(config/r2p1d-fast.json, on the CPU r2p1d-cpu.json)",
    )
    parser.add_argument("-n", "--repeats", type=whole_number(1), default=1, help="of each run (%(default)s)")
    parser.add_argument(
        "-v", "--videos", type=whole_number(1), default=400, help="requests a run (%(default)s)"
    )
    parser.add_argument("--max-gb", type=more_than_0, default=3.0, help="of different files (%(default)s)")
    parser.add_argument(
        "--threads",
        type=whole_number(1),
        nargs="+",
        default=[8],
        help="on NVDEC, of one process (%(default)s)",
    )
    parser.add_argument("--seconds", type=more_than_0, default=3.0, help="of decoders alone (%(default)s)")
    parser.add_argument("--samples", type=whole_number(1), default=8, help="different contents (%(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data/videos"))
    parser.add_argument("--keep", type=Path, help="put the videos into this folder, and play nothing")
    args = parser.parse_args()
    samples = samples_in(parser, args.data)[: args.samples]
    if args.keep:
        try:
            encode_all(samples, args.kinds, args.keep)
        except OSError as error:
            parser.error(f"--keep {args.keep}: {error.strerror}")
        return
    with tempfile.TemporaryDirectory(prefix="rnb-large-") as folder:
        videos = encode_all(samples, args.kinds, Path(folder))
        for name in args.kinds:
            with different_videos(videos[name], args.videos, int(args.max_gb * 1e9)) as files:
                try:
                    measure(name, videos[name], files, args)
                except RuntimeError as error:
                    sys.exit(f"large_videos: {error}")


def measure(name: str, videos: Sequence[Path], files: Sequence[Path], args: argparse.Namespace) -> None:
    figures: dict[str, Any] = {"kind": name, "frames_per_video": raw_nvdec.frames_needed(videos)}
    if is_for_engine(videos[0]):
        raw = raw_nvdec.measure(videos, 14, args.seconds)
        figures["raw NVDEC"] = raw.frames_per_s / figures["frames_per_video"]
        for count in args.threads:
            threads = decoding.measure("nvdec", videos, files, count, args.seconds)
            figures[f"{count} NVDEC threads"] = threads.videos_per_s
    num_cpus = len(os.sched_getaffinity(0))
    figures["CPUs"] = decoding.measure("pyav", videos, files, num_cpus, args.seconds).videos_per_s
    flags = ("-mi", "0", "-v", str(len(files)), "-bt", "2", "--data", str(files[0].parent))
    with tempfile.TemporaryDirectory() as folder:
        loader = str(decode_only(ROOT / args.config, Path(folder)))
        runs = [
            (run_pipeline(args.config, *flags), run_pipeline(loader, *flags)) for _ in range(args.repeats)
        ]
    figures["pipeline"] = spread([throughput(whole) for whole, _ in runs])
    figures["loader alone"] = spread([throughput(alone) for _, alone in runs])
    whole = runs[-1][0]
    figures |= {"busy_percent": busiest(whole), "gpu_memory_gb": gpu_memory_gb(whole)}
    line = ", ".join(
        f"{key} {value['median'] if isinstance(value, dict) else value:.4g}"
        for key, value in figures.items()
        if key not in ("kind", "busy_percent")
    )
    busy = ", ".join(f"{key} {value:.0f} %" for key, value in busiest(whole).items())
    show(name, f"{line}; busy: {busy}", figures)


def is_for_engine(video: Path) -> bool:
    if not torch.cuda.is_available():
        return False
    with VideoFile(str(video)) as file, contextlib.suppress(UnsupportedVideo):
        engine_pictures.check(index_of(file), torch.device("cuda", 0))
        return True
    return False


def encode_all(samples: Sequence[Path], kinds: Sequence[str], folder: Path) -> dict[str, list[Path]]:
    """Each sample as a video of each kind; the paths by kind."""
    videos = {name: [folder / name / f"{sample.stem}.mp4" for sample in samples] for name in kinds}
    for name in kinds:
        (folder / name).mkdir(parents=True, exist_ok=True)
    jobs = [
        (sample, name, path) for name in kinds for sample, path in zip(samples, videos[name], strict=True)
    ]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        list(pool.map(encode, *zip(*jobs, strict=True)))
    return videos


def encode(sample: Path, name: str, path: Path) -> None:
    kind = KINDS[name]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(kind.encoder, rate=FRAMES_PER_S, options=kind.options)
        stream.width, stream.height, stream.pix_fmt = kind.width, kind.height, kind.pixel_format
        stream.bit_rate = int(kind.mbit_s * 1e6)
        stream.codec_context.thread_count = 2
        for picture in enlarged(sample, kind):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def enlarged(sample: Path, kind: Kind) -> Iterator[Any]:
    random = np.random.default_rng(SEED)
    shape = (NUM_GRAINS, kind.height, kind.width, 1)
    grains = (GRAIN * random.standard_normal(shape, np.float32)).astype(np.int16)
    with av.open(str(sample)) as container:
        for number, frame in enumerate(islice(container.decode(video=0), FRAMES)):
            picture = frame.to_ndarray(format="rgb24")
            large = cv2.resize(picture, (kind.width, kind.height), interpolation=cv2.INTER_CUBIC)
            yield np.clip(large + grains[number % NUM_GRAINS], 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
