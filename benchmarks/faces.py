"""How many frames a second the face detectors search, and whether they find the same faces.

    python -m benchmarks.faces --batch 1 8 32

Frames of 640x480 with the sample pictures, one after the other. dlib's detector computes where its package is
built for, which the line says, and MTCNN on the CPU and, where there is one, on a GPU; each in one process.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch

from benchmarks.measuring import show, spread
from models.faces.detectors import Detector, DlibDetector, MtcnnDetector
from models.faces.face import Face, share
from models.faces.image_file import ImagePathIterator, read_image
from rnb.contract import Context, Device

WIDTH, HEIGHT = 640, 480
Frames = npt.NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="data/faces/views", help="pictures (%(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32], help="of MTCNN (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of MTCNN on the CPU (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="per measurement (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each (%(default)s)")
    parser.add_argument("--min-face-size", type=int, default=40, help="of MTCNN, in pixels (%(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        frames = frames_of(ImagePathIterator(args.data).images)
        dlib = make(DlibDetector, Device())
        place = "with CUDA" if dlib.facts()["dlib_uses_cuda"] else "on the CPU"
        expected = report(f"dlib {place}", dlib, frames, 1, args)
        for device in [Device(), *([Device("cuda", 0)] if torch.cuda.is_available() else [])]:
            mtcnn = make(MtcnnDetector, device, min_face_size=args.min_face_size)
            for size in args.batch:
                found = report(f"MTCNN on {device}, {size} at once", mtcnn, frames, size, args)
            agreement(f"MTCNN on {device}", expected, found)
    except ValueError as error:
        parser.error(str(error))


def make(kind: type[Detector], device: Device, **options: int) -> Detector:
    """Raises ValueError where weights or packages are missing."""
    parsed = kind.Options.model_validate(options)
    kind.check_machine(parsed, device)
    return kind(parsed, Context(where=device))


def frames_of(paths: Sequence[str]) -> Frames:
    """Each picture in a frame, as large as fits: (pictures, height, width, 3)."""
    frames = np.zeros((len(paths), HEIGHT, WIDTH, 3), np.uint8)
    for frame, path in zip(frames, paths, strict=True):
        picture, _ = read_image(path, 8_000_000)
        scale = min(HEIGHT / picture.shape[0], WIDTH / picture.shape[1])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frame[: small.shape[0], : small.shape[1]] = small
    return frames


def report(
    name: str, detector: Detector, frames: Frames, size: int, args: argparse.Namespace
) -> list[list[Face]]:
    """Print the rate; returns the faces of each frame."""
    batch = torch.from_numpy(frames).to(detector.context.device)
    parts = [batch[torch.arange(first, first + size) % len(batch)] for first in range(0, len(batch), size)]
    with torch.inference_mode():
        found = [list(faces) for faces in detector.find(batch)]
        rates = [rate(detector.find, parts, args.seconds) for _ in range(args.repeats)]
    wall, cpu = (spread(column) for column in zip(*rates, strict=True))
    line = f"{name}: {words(wall)} frames/s, {words(cpu)} per second of CPU time"
    figures = {"detector": name, "batch": size, "frames_per_s": wall, "frames_per_cpu_s": cpu}
    show("faces", line, {**figures, **detector.facts()})
    return found


def words(figures: dict[str, float]) -> str:
    return f"{figures['median']:.2f} ({figures['min']:.2f} to {figures['max']:.2f})"


def rate(
    find: Callable[[torch.Tensor], object], parts: Sequence[torch.Tensor], seconds: float
) -> tuple[float, float]:
    """Frames a second, and a second of this process's CPU time, which others at work change less.

    Each answer is on the host, so nothing is left to wait for.
    """
    started, cpu_started, count = time.perf_counter(), time.process_time(), 0
    for part in itertools.cycle(parts):
        find(part)
        count += len(part)
        if (elapsed := time.perf_counter() - started) >= seconds:
            break
    return count / elapsed, count / (time.process_time() - cpu_started)


def agreement(name: str, expected: Sequence[Sequence[Face]], found: Sequence[Sequence[Face]]) -> None:
    """Print how the boxes that dlib found overlap those of another detector."""
    shares = [
        max((share(face.box, other.box) for other in others), default=0.0)
        for faces, others in zip(expected, found, strict=True)
        for face in faces
    ]
    num_same = sum(share > 0.5 for share in shares)
    num_more = sum(map(len, found)) - num_same
    line = f"{name}: {num_same} of dlib's {len(shares)} faces, and {num_more} more"
    show("faces", line, {"detector": name, "intersection_over_union": shares, "more": num_more})


if __name__ == "__main__":
    main()
