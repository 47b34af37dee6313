"""Whole pipelines beside their ceiling, decoding alone. python -m benchmarks.whole_pipelines

Each request is for a file of its own, of which nothing is known yet: copies of the samples in a temporary
folder. Runs of the pipeline, of its loader alone and of the pipeline with the samples again and again, which
flatters, alternate, so that all meet the same machine. The loader's slots go to a step that does nothing with
them. Then runs at a share of the median throughput show the latency, also of requests of one size that were
decoded by the same kind of decoder.
What bounds a pipeline shows in what was busiest: the CPUs, a GPU's decoders or its SMs, as NVML says, and the
steps.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.different_videos import different_videos
from benchmarks.measuring import ROOT, run_pipeline, show, spread, throughput
from rnb.analysis.statistics import stage_durations_ms
from rnb.analysis.utilization import mean_shares, worker_utilizations
from rnb.contract.events import LATENESS
from rnb.pipeline.config import StepConfig, read_config
from rnb.planner.observations import opening_step
from rnb.record.run import Run
from rnb.record.tables import TELEMETRY

GPU_CONFIGS, CPU_CONFIGS = ("r2p1d-whole", "r2p1d-fast"), ("r2p1d-cpu",)
CONSUME = "models.nothing.model.Consume"
VIDEOS = "models.r2p1d.model.R2P1DVideoPathIterator"


def main() -> None:
    args = parse_arguments()
    samples = sorted(args.data.rglob("*.mp4"))
    with different_videos(samples, args.files, int(args.max_gb * 1e9)) as files:
        for config in args.configs:
            measure(config, files[0].parent, args)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-c", "--configs", nargs="+", help="config files (those of R(2+1)D that run here)")
    parser.add_argument("-n", "--repeats", type=int, default=5, help="runs of each kind (%(default)s)")
    parser.add_argument("--ceiling-repeats", type=int, help="runs of the loader alone (as -n)")
    parser.add_argument("--repeated", type=int, help="runs with repeated files (as -n)")
    parser.add_argument("-v", "--videos", type=int, help="requests a run (on a GPU 3000, else 24)")
    parser.add_argument(
        "--files",
        type=int,
        help="different ones, which runs of more play again (as -v; a paced run plays more)",
    )
    parser.add_argument("-bt", "--batch-timeout-ms", default="2", help="as for benchmark.py (%(default)s)")
    parser.add_argument(
        "--share", type=float, default=0.8, help="of the throughput, paced; 0: no (%(default)s)"
    )
    parser.add_argument("--paced-seconds", type=float, default=20, help="of a paced run (%(default)s)")
    parser.add_argument("--paced-repeats", type=int, default=1, help="paced runs (%(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data/videos"))
    parser.add_argument("--max-gb", type=float, default=2.0, help="of different files (%(default)s)")
    args = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    names = GPU_CONFIGS if has_gpu else CPU_CONFIGS
    args.configs = args.configs or [f"config/{name}.json" for name in names]
    args.videos = args.videos or (3000 if has_gpu else 24)
    args.files = args.files or args.videos
    args.ceiling_repeats = args.repeats if args.ceiling_repeats is None else args.ceiling_repeats
    args.repeated = args.repeats if args.repeated is None else args.repeated
    return args


def measure(config: str, files: Path, args: argparse.Namespace) -> None:
    whole, decoding, repeated = play_in_turn(config, files, args)
    rates = spread([throughput(run) for run in whole])
    figures: dict[str, Any] = {"config": config, "videos_per_s": rates, "busy_percent": busiest(whole[-1])}
    line = f"{_text(rates)} videos/s ({args.repeats} runs of {args.videos} files)"
    for name, runs in (("its loader alone", decoding), ("repeated files", repeated)):
        if runs:
            others = spread([throughput(run) for run in runs])
            share = rates["median"] / others["median"]
            figures |= {name: others, f"share of {name}": share, f"busy, {name}": busiest(runs[-1])}
            line += f"; {name} {_text(others)}, so {share:.1%} of that"
    line += "; busy: " + ", ".join(f"{name} {value:.0f} %" for name, value in busiest(whole[-1]).items())
    line += f"; GPU memory {gpu_memory_gb(whole[-1]):.1f} GB"
    if args.share:
        rate = args.share * rates["median"]
        paced = [play_paced(config, files, rate, args) for _ in range(args.paced_repeats)]
        figures |= {"paced_videos_per_s": rate, "paced": paced}
        line += f"; at {rate:.4g}/s {medians(paced)} (medians of {len(paced)} runs)"
    show(f"whole pipeline {Path(config).stem}", line, figures)


def play_in_turn(
    config: str, files: Path, args: argparse.Namespace
) -> tuple[list[Run], list[Run], list[Run]]:
    """Bulk runs of the pipeline, of its loader alone, and of the pipeline with repeated files."""
    flags = ("-mi", "0", "-v", str(args.videos), "-bt", args.batch_timeout_ms)
    whole, decoding, repeated = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        loader = str(decode_only(ROOT / config, Path(folder)))
        for number in range(max(args.repeats, args.ceiling_repeats, args.repeated)):
            if number < args.repeats:
                whole.append(run_pipeline(config, "--data", str(files), *flags))
            if number < args.ceiling_repeats:
                decoding.append(run_pipeline(loader, "--data", str(files), *flags))
            if number < args.repeated:
                repeated.append(run_pipeline(config, "--data", str(args.data), *flags))
    return whole, decoding, repeated


def play_paced(config: str, files: Path, rate: float, args: argparse.Namespace) -> dict[str, float]:
    """Percentiles of latency and of the client's lateness, with Poisson arrivals of `rate` requests/s."""
    num = str(int(rate * args.paced_seconds))
    flags = ("-mi", f"{1000 / rate:.6f}", "-v", num, "-qs", num, "-bt", args.batch_timeout_ms)
    run = run_pipeline(config, *flags, "--data", str(files))
    late_ms = stage_durations_ms(run, run.finished)[LATENESS]
    models = [step.model for step in read_config(ROOT / config).pipeline().pipeline]
    return {
        **{f"p{one} ms": float(np.nanpercentile(run.latency_ms, one)) for one in (50, 99, 99.9)},
        **{f"late p{one} ms": float(np.nanpercentile(late_ms, one)) for one in (50, 99, 99.9)},
        **p99_by_decoder(run, opening_step(models)),
    }


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure, of the runs that have it."""
    names = {name: None for one in runs for name in one}
    return {name: round(float(np.median([one[name] for one in runs if name in one])), 2) for name in names}


def p99_by_decoder(run: Run, step: int) -> dict[str, float]:
    """In ms, of the requests of as many clips that the same kind of device decoded, if there are any."""
    is_gpu = [one["device"] != "cpu" for one in run.meta.replicas if one["step"] == step]
    clips, by_gpu = run.requests["num_clips"], np.array(is_gpu)[run.requests[f"replica{step}"]]
    found = {}
    for number in np.unique(clips[run.finished]).tolist():
        for device, is_there in (("GPU", by_gpu), ("CPU", ~by_gpu)):
            latencies_ms = run.latency_ms[run.finished & (clips == number) & is_there]
            if len(latencies_ms):
                p99 = float(np.percentile(latencies_ms, 99))
                found[f"p99 ms, {number} clips, on the {device}"] = p99
    return found


def decode_only(config: Path, folder: Path) -> Path:
    """A config of the same loader, and what is before it, in front of a step that does nothing."""
    steps = read_config(config).pipeline().pipeline
    kept = steps[: opening_step(step.model for step in steps) + 1]
    groups = kept[-1].queue_groups
    gpus = sorted({gpu for group in groups for gpu in group.gpus if gpu >= 0}) or [-1]
    queues = sorted({queue for group in groups for queue in group.out_queues or ()})
    consume = {"model": CONSUME, "queue_groups": [{"gpus": gpus[:1], "in_queue": queue} for queue in queues]}
    path = folder / f"decode-only-{config.name}"
    path.write_text(json.dumps({"video_path_iterator": VIDEOS, "pipeline": [*map(_dumped, kept), consume]}))
    return path


def _dumped(step: StepConfig) -> dict[str, Any]:
    groups = [group.model_dump(exclude_none=True, exclude={"nodes"}) for group in step.queue_groups]
    return step.model_dump(exclude_none=True) | {"queue_groups": groups}


def busiest(run: Run) -> dict[str, float]:
    """Mean use in percent over the run: the CPUs, what NVML says of each GPU, and each step's workers."""
    found: dict[str, float] = {}
    for name, values in run.tables.get(TELEMETRY, {}).items():
        if name == "cpu.percent" or name.endswith((".sm_percent", ".nvdec_percent")):
            values = values[np.isfinite(values)]
            if len(values):
                found[name.removesuffix(".percent").removesuffix("_percent")] = float(values.mean())
    workers = worker_utilizations(run)
    for step in sorted({worker.step for worker in workers}):
        shares = mean_shares([worker for worker in workers if worker.step == step])
        found[f"step {step}"] = 100 * shares["busy"]
    return found


def gpu_memory_gb(run: Run) -> float:
    """The most that the processes of the run held together on all GPUs."""
    columns = [
        np.nan_to_num(values)
        for name, values in run.tables.get(TELEMETRY, {}).items()
        if name.endswith(".gpu_memory_bytes")
    ]
    return float(np.sum(columns, axis=0).max()) / 1e9 if columns else 0.0


def _text(rates: dict[str, float]) -> str:
    return f"{rates['median']:.4g} ({rates['min']:.4g} to {rates['max']:.4g})"


if __name__ == "__main__":
    main()
