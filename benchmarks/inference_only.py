"""The network without decoding: bare in a loop, and in a pipeline. python -m benchmarks.inference_only

The bare figures are of R2P1DRunner on one batch, for some of its options. How many clips get the class that
they get with the exact network is counted on clips of the videos in --data.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import ROOT, run_pipeline, samples_in, show, spread
from models.r2p1d.model import R2P1DLoader, R2P1DRunner
from rnb.contract import Context, Device, TensorSpec
from rnb.record.run import Run

FAST_CONFIG, EXACT_CONFIG = "config/r2p1d-inference-fast.json", "config/r2p1d-inference-only.json"
ROW = (3, 8, 112, 112)
FUSED: dict[str, Any] = {"fuse": True, "cuda_graphs": True, "autotune": 10}
VARIANTS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "fp32-fused": {"precision": "fp32", **FUSED},
    "tf32": {"precision": "tf32"},
    "tf32-fused": {"precision": "tf32", **FUSED},
    "fp16": {"precision": "fp16"},
    "fp16-graphs": {"precision": "fp16", "cuda_graphs": True},
    "fp16-autotuned": {"precision": "fp16", "channels_last": True, "autotune": 10},
    "fp16-compiled": {"precision": "fp16", "channels_last": True, "compile": True},
    "fp16-compiled-graphs": {
        "precision": "fp16",
        "channels_last": True,
        "compile": True,
        "cuda_graphs": True,
    },
    "fp16-fused-eager": {"precision": "fp16", "fuse": True},
    "fp16-fused-untuned": {"precision": "fp16", "fuse": True, "cuda_graphs": True},
    "fp16-fused": {"precision": "fp16", **FUSED},
    "bf16-fused": {"precision": "bf16", **FUSED},
}


def main() -> None:
    args = parse_arguments()
    device = torch.device("cpu" if args.device == "cpu" or not torch.cuda.is_available() else "cuda:0")
    on_gpu = device.type == "cuda"
    rows = args.rows or (64 if on_gpu else 2)
    config = args.config or (FAST_CONFIG if on_gpu else EXACT_CONFIG)
    variants = pick(args.variants or ([*VARIANTS] if on_gpu else ["fp32", "fp32-fused"]), options_of(config))
    videos = sorted(str(path) for path in args.data.rglob("*.mp4"))
    clips = real_clips(videos, args.clips or (1024 if on_gpu else 4), device)
    with torch.inference_mode():
        expected = classes(make_runner({}, rows, device), clips, rows)
        bare = {
            name: measure(options, clips, expected, rows=rows, device=device, seconds=args.seconds)
            for name, options in variants.items()
        }
    if on_gpu:
        torch.cuda.empty_cache()  # the pipeline is another process on the same GPU
    pipeline = run(args, config, on_gpu=on_gpu)
    share = pipeline["median"] / bare["config"]["clips_per_s"]
    show(
        "inference only",
        f"{pipeline['median']:.4g} clips/s in the pipeline of {config}, {100 * share:.0f} % of its bare"
        f" network; bare, {rows} clips at a time: "
        + ", ".join(f"{name} {figures['clips_per_s']:.4g}" for name, figures in bare.items()),
        {
            "device": device_name(device),
            "rows": rows,
            "bare": bare,
            "config": config,
            "pipeline_clips_per_s": pipeline,
        },
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--config", help=f"({FAST_CONFIG}; on the CPU {EXACT_CONFIG})")
    parser.add_argument("-n", "--repeats", type=int, default=3, help="pipeline runs (%(default)s)")
    parser.add_argument("-v", "--videos", type=int, help="requests in a run (20000; on the CPU 6)")
    parser.add_argument("--rows", type=int, help="clips in a bare call (64; on the CPU 2)")
    parser.add_argument("--clips", type=int, help="clips to compare classes on (1024; on the CPU 4)")
    parser.add_argument("--seconds", type=float, default=1.0, help="per bare measurement (%(default)s)")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        help="beside the config's; all, on the CPU fp32 and fp32-fused",
    )
    parser.add_argument("--data", type=Path, default=Path("data/videos"), help="videos (%(default)s)")
    parser.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto", help="auto: the GPU if there is one"
    )
    args = parser.parse_args()
    samples_in(parser, args.data)  # or it ends here
    return args


def options_of(config: str) -> dict[str, Any]:
    """The options that the config gives R2P1DRunner, less those of the harness."""
    pipeline = json.loads((ROOT / config).read_text())
    steps = pipeline if isinstance(pipeline, list) else pipeline["pipeline"]
    (step,) = (step for step in steps if step["model"].endswith(".R2P1DRunner"))
    harness = ("model", "gpus", "queue_groups", "workers", "max_clips")
    return {key: value for key, value in step.items() if key not in harness}


def pick(names: Sequence[str], tuned: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**{name: VARIANTS[name] for name in names}, "config": tuned}


def real_clips(videos: Sequence[str], num_clips: int, device: torch.device) -> torch.Tensor:
    """Clips of all the videos in turn, each drawn anew: (num_clips, 3, 8, 112, 112), uint8."""
    options = R2P1DLoader.Options(num_clips=15, num_clips_population=None, dtype="uint8")
    loader = R2P1DLoader(options, Context(where=Device(device.type, device.index)))
    frames = torch.empty((15, *ROW), dtype=torch.uint8, device=device)
    parts: list[torch.Tensor] = []
    while sum(map(len, parts)) < num_clips:
        number = len(parts)
        parts.append(loader.load(videos[number % len(videos)], number, frames).clone())
    loader.close()
    return torch.cat(parts)[:num_clips]


def make_runner(options: dict[str, Any], rows: int, device: torch.device) -> R2P1DRunner:
    context = Context(where=Device(device.type, device.index), inputs=(TensorSpec((rows, *ROW), "uint8"),))
    runner = R2P1DRunner(R2P1DRunner.Options.model_validate(options), context)
    runner.warm_up([rows])
    return runner


def classes(runner: R2P1DRunner, clips: torch.Tensor, rows: int) -> torch.Tensor:
    """The class of each clip."""
    return torch.cat([runner.infer(batch).argmax(1) for batch in clips.split(rows)])


def measure(
    options: dict[str, Any],
    clips: torch.Tensor,
    expected: torch.Tensor,
    *,
    rows: int,
    device: torch.device,
    seconds: float,
) -> dict[str, float]:
    started = time.perf_counter()
    runner = make_runner(options, rows, device)
    synchronize(device)
    warm_up_s = time.perf_counter() - started
    batch = clips[:rows]
    calls_per_s = rate(lambda: runner.infer(batch), seconds, device)
    agreement = (classes(runner, clips, rows) == expected).double().mean().item()
    return {"clips_per_s": calls_per_s * len(batch), "agreement": agreement, "warm_up_s": warm_up_s}


def rate(call: Callable[[], Any], seconds: float, device: torch.device) -> float:
    """Calls per second, made one after the other without waiting for the device in between."""
    call()
    synchronize(device)
    started, num_calls = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(4 if device.type == "cuda" else 1):
            call()
            num_calls += 1
        synchronize(device)
    return num_calls / (time.perf_counter() - started)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def run(args: argparse.Namespace, config: str, *, on_gpu: bool) -> dict[str, float]:
    """Clips per second of the pipeline: median and range of the runs."""
    num_videos = args.videos or (20_000 if on_gpu else 6)
    device = "cuda" if on_gpu else "cpu"
    flags = ("-mi", "0", "-v", str(num_videos), "--data", str(args.data), "--device", device)
    return spread([clips_per_s(run_pipeline(config, *flags)) for _ in range(args.repeats)])


def clips_per_s(run: Run) -> float:
    return float(np.sum(run.requests["num_clips"][run.finished])) / run.seconds


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


if __name__ == "__main__":
    main()
