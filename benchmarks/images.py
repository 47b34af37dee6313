"""How many images a second each backend loads. python -m benchmarks.images --backends opencv torchcodec

First each variant's bare decoder, and all of its loading, in one thread of this process, with the files in
memory: images a second, on the CPU of CPU time, which other work on the machine changes least. Then pipelines
of the loader alone, with all requests at once; runs of all variants alternate, so that they meet the same
machine, and stand beside OpenCV with one process and one worker. Then a run at a share of the rate shows the
latency, and with --classifier ResNet-50 stands behind. On a GPU each share of the JPEG engine in
--hardware-shares is a variant of nvimgcodec and of DALI. With -n 0 no pipeline is played.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import run_pipeline, show, spread, throughput
from models.images import backends
from models.images.backends import MODULES, WITH_ENGINE
from models.images.cut import cut_of
from models.images.decoding import DECODERS, make_decoder
from models.images.encoded import read_encoded
from models.images.header import read_header
from models.images.options import LoaderOptions
from models.images.requests import ImageIterator
from rnb.analysis.statistics import describe
from rnb.contract.events import END_TO_END

BASELINE = "opencv"
CUT = {"resize": 256, "crop": [224, 224], "crop_position": "random", "mirror": 0.5}
NUM_IN_MEMORY, NUM_ROUNDS = 240, 7
NUM_SLOTS = 128
"""A call's images need one each; so this is the largest -b."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to load."""

    backend: str
    workers: int
    hardware_share: float | None = None

    @property
    def name(self) -> str:
        share = "" if self.hardware_share is None else f", engine {self.hardware_share:.0%}"
        return f"{self.backend}{share}, {self.workers} workers"

    def options(self) -> dict[str, Any]:
        share = {} if self.hardware_share is None else {"hardware_share": self.hardware_share}
        return {"backend": self.backend, **CUT, **share}

    def pipeline(self, gpu: int, *, classifies: bool) -> list[dict[str, Any]]:
        loader = {"model": "models.images.model.ImageLoader", "workers": self.workers, **self.options()}
        loader |= {"gpus": [-1 if self.backend == BASELINE else gpu]}
        if not classifies:
            return [loader]
        loader |= {"dtype": "uint8", "num_shared_tensors": NUM_SLOTS}
        classifier = {"model": "models.images.model.ImageClassifier", "gpus": [gpu]}
        classifier |= {"precision": "fp32" if gpu < 0 else "fp16"}
        return [loader, classifier]


def main() -> None:
    args = parse_arguments()
    baseline = Variant(backend=BASELINE, workers=1)
    variants = list(dict.fromkeys([baseline, *make_variants(args)]))
    for variant in dict.fromkeys(replace(variant, workers=1) for variant in variants):
        figures = in_process(variant, args)
        told = ", ".join(f"{name} {_text(rates)} images/s" for name, rates in figures.items())
        show(f"images in this process, {variant.name}", told, figures)
    if not args.repeats:
        return
    rates = play_in_turn(variants, args, classifies=False)
    for variant, found in rates.items():
        ratio, latency = found["median"] / rates[baseline]["median"], paced(variant, found["median"], args)
        figures = {"images_per_s": found, "ratio": ratio, "paced_latency_ms": latency}
        line = (
            f"{_text(found)} images/s, {ratio:.2f} times OpenCV with one process;"
            f" at {args.share:.0%} of that p50 {latency['p50']} ms, p99 {latency['p99']} ms"
        )
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


def in_process(variant: Variant, args: argparse.Namespace) -> dict[str, Any]:
    """Images per second of the decoder alone, where it can be had alone, and of all of the loading."""
    torch.set_num_threads(1)
    device = torch.device("cpu" if args.gpu < 0 or variant.backend == BASELINE else f"cuda:{args.gpu}")
    options = LoaderOptions.model_validate(variant.options())
    images = [read_encoded(payload) for payload in itertools.islice(ImageIterator(args.data), NUM_IN_MEMORY)]
    cuts = [
        cut_of(image.name, read_header(image.name, image.data), options, number)
        for number, image in enumerate(images)
    ]
    loading = backends.choose(options, device, args.batch)
    starts = range(0, len(images), args.batch)
    calls: dict[str, Callable[[int, int], object]] = {
        "loading": lambda a, b: loading.load(images[a:b], cuts[a:b])
    }
    if variant.backend in DECODERS:
        decode = make_decoder(options, device)
        calls["bare decoder"] = lambda a, b: decode([image.data for image in images[a:b]])
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(NUM_ROUNDS + 1):
        for name, call in calls.items():
            rates[name].append(_rate(call, starts, args.batch, len(images), device))
    loading.close()
    return {name: spread(found[1:]) for name, found in rates.items()}  # the first warms up


def _rate(
    call: Callable[[int, int], object], starts: range, size: int, num_images: int, device: torch.device
) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    started = clock()
    for start in starts:
        call(start, start + size)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return num_images / (clock() - started)


def _text(rates: dict[str, float]) -> str:
    return f"{rates['median']:.4g} ({rates['min']:.4g} to {rates['max']:.4g})"


if __name__ == "__main__":
    main()
