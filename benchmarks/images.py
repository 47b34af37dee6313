"""How many images a second each backend loads. python -m benchmarks.images --backends opencv torchcodec

Runs of all variants alternate, so that they meet the same machine: the loader alone, with all requests at
once. Beside them stand the bare decoder's rate, in one thread with the files in memory, and the ratio to
OpenCV with one process and one worker. Then a run at a share of the rate shows the latency, and with
--classifier ResNet-50 stands behind. On a GPU each share of the JPEG engine in --hardware-shares is a variant
of nvimgcodec and of DALI.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import run_pipeline, show, spread, throughput
from models.images import backends
from models.images.backends import MODULES, WITH_ENGINE
from models.images.decoding import DECODERS, make_decoder
from models.images.encoded import read_encoded
from models.images.options import LoaderOptions
from models.images.requests import ImageIterator
from rnb.analysis.statistics import describe
from rnb.contract.events import END_TO_END

BASELINE = "opencv"
CUT = {"resize": 256, "crop": [224, 224], "crop_position": "random", "mirror": 0.5}
NUM_BARE = 256
"""Images in memory for the bare decoder."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to load."""

    backend: str
    workers: int
    hardware_share: float | None = None

    @property
    def name(self) -> str:
        share = "" if self.hardware_share is None else f", engine {self.hardware_share:.0%}"
        return f"{self.backend}, {self.workers} workers{share}"

    def options(self) -> dict[str, Any]:
        share = {} if self.hardware_share is None else {"hardware_share": self.hardware_share}
        return {"backend": self.backend, **CUT, **share}

    def pipeline(self, gpu: int, *, classifies: bool) -> list[dict[str, Any]]:
        loader = {"model": "models.images.model.ImageLoader", "workers": self.workers, **self.options()}
        loader |= {
            "gpus": [-1 if self.backend == BASELINE else gpu],
            "dtype": "uint8" if classifies else "float32",
        }
        classifier = {"model": "models.images.model.ImageClassifier", "gpus": [gpu]}
        classifier |= {"precision": "fp32" if gpu < 0 else "fp16"}
        return [loader, classifier] if classifies else [loader]


def main() -> None:
    args = parse_arguments()
    variants = [*make_variants(args)]
    baseline = Variant(backend=BASELINE, workers=1)
    rates = play_in_turn([baseline, *variants], args, classifies=False)
    for variant in dict.fromkeys([baseline, *variants]):
        found = rates[variant]
        figures: dict[str, Any] = {"images_per_s": found}
        figures["ratio"] = found["median"] / rates[baseline]["median"]
        line = f"{_text(found)} images/s, {figures['ratio']:.2f} times OpenCV with one process"
        if variant.backend in DECODERS:
            figures["bare_images_per_s"] = bare = bare_rate(variant, args)
            line += f"; bare decoder {bare:.4g}, so {found['median'] / bare:.0%} of it"
        figures["paced_latency_ms"] = latency = paced(variant, found["median"], args)
        line += f"; at {args.share:.0%} of that p50 {latency['p50']} ms, p99 {latency['p99']} ms"
        if args.classifier:
            figures["classified_per_s"] = played = play_in_turn([variant], args, classifies=True)[variant]
            line += f"; with ResNet-50 behind {_text(played)} images/s"
        show(f"images {variant.name}", line, figures)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", nargs="+", choices=MODULES, default=[BASELINE], help="(%(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="try each number (%(default)s)")
    parser.add_argument("--hardware-shares", type=float, nargs="+", default=[], help="of the JPEG engine")
    parser.add_argument("-b", "--batch", type=int, default=16, help="images in a call (%(default)s)")
    parser.add_argument("-v", "--images", type=int, default=2000, help="a run (%(default)s)")
    parser.add_argument("-n", "--repeats", type=int, default=3, help="runs of each (%(default)s)")
    parser.add_argument("--share", type=float, default=0.7, help="of the rate, paced (%(default)s)")
    parser.add_argument("--classifier", type=int, metavar="IMAGES", help="also with ResNet-50 behind")
    parser.add_argument("--data", default="data/images")
    args = parser.parse_args()
    args.gpu = 0 if torch.cuda.is_available() else -1
    for name in args.backends:
        try:
            backends.check(name)
        except ValueError as error:
            parser.error(str(error))
    return args


def make_variants(args: argparse.Namespace) -> Sequence[Variant]:
    shares: list[float | None] = [None, *args.hardware_shares]
    every = itertools.product(args.backends, args.workers, shares)
    return [
        Variant(backend=backend, workers=workers, hardware_share=share)
        for backend, workers, share in every
        if share is None or (backend in WITH_ENGINE and args.gpu >= 0)
    ]


def play_in_turn(
    variants: Sequence[Variant], args: argparse.Namespace, *, classifies: bool
) -> dict[Variant, dict[str, float]]:
    """Images per second of each variant, with all requests at once."""
    num = args.classifier if classifies else args.images
    rates: dict[Variant, list[float]] = {variant: [] for variant in variants}
    for _ in range(args.repeats):
        for variant, found in rates.items():
            found.append(throughput(play(variant, args, "-mi", "0", "-v", str(num), classifies=classifies)))
    return {variant: spread(found) for variant, found in rates.items()}


def paced(variant: Variant, rate: float, args: argparse.Namespace) -> dict[str, float | None]:
    """Percentiles of the latency in ms, with Poisson arrivals at a share of the rate."""
    interval_ms, num = f"{1000 / (args.share * rate):.6f}", str(args.images)
    run = play(variant, args, "-mi", interval_ms, "-v", num, "-qs", num, classifies=False)
    percentiles = describe(END_TO_END, run.latency_ms).percentiles_ms
    return {name: None if value is None else round(value, 1) for name, value in percentiles.items()}


def play(variant: Variant, args: argparse.Namespace, *flags: str, classifies: bool) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.json"
        iterator = f"{ImageIterator.__module__}.{ImageIterator.__qualname__}"
        pipeline = variant.pipeline(args.gpu, classifies=classifies)
        path.write_text(json.dumps({"video_path_iterator": iterator, "pipeline": pipeline}))
        return run_pipeline(str(path), "--data", args.data, "-b", str(args.batch), "-bt", "2", *flags)


def bare_rate(variant: Variant, args: argparse.Namespace) -> float:
    """Images per second of the decoder alone in one thread, the median of the repeats."""
    torch.set_num_threads(1)
    device = torch.device("cpu" if args.gpu < 0 or variant.backend == BASELINE else f"cuda:{args.gpu}")
    decode = make_decoder(LoaderOptions.model_validate(variant.options()), device)
    images = [read_encoded(payload).data for payload in itertools.islice(ImageIterator(args.data), NUM_BARE)]
    batches = [images[start : start + args.batch] for start in range(0, len(images), args.batch)]
    rates = []
    for _ in range(args.repeats + 1):
        started = time.perf_counter()
        for batch in batches:
            decode(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rates.append(len(images) / (time.perf_counter() - started))
    return spread(rates[1:])["median"]  # the first warms up


def _text(rates: dict[str, float]) -> str:
    return f"{rates['median']:.4g} ({rates['min']:.4g} to {rates['max']:.4g})"


if __name__ == "__main__":
    main()
