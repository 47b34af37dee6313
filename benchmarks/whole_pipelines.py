"""Whole pipelines beside their ceiling, decoding alone. python -m benchmarks.whole_pipelines

Runs of the pipeline and of its loader alone alternate, so that both meet the same machine. The loader's slots
go to a step that does nothing with them. Then a run at a share of the median throughput shows the latency.
What bounds a pipeline shows in what was busiest: the CPUs, a GPU's decoders or its SMs, as NVML says, and the
steps.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring import ROOT, run_pipeline, show, spread, throughput
from rnb.analysis.statistics import describe
from rnb.analysis.utilization import mean_shares, worker_utilizations
from rnb.contract.events import END_TO_END
from rnb.pipeline.config import read_config
from rnb.record.run import Run
from rnb.record.tables import TELEMETRY

GPU_CONFIGS, CPU_CONFIGS = ("r2p1d-whole", "r2p1d-fast"), ("r2p1d-cpu",)
CONSUME = "models.nothing.model.Consume"
VIDEOS = "models.r2p1d.model.R2P1DVideoPathIterator"


def main() -> None:
    args = parse_arguments()
    for config in args.configs:
        measure(config, args)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-c", "--configs", nargs="+", help="config files (those of R(2+1)D that run here)")
    parser.add_argument("-n", "--repeats", type=int, default=5, help="runs of each kind (%(default)s)")
    parser.add_argument("--ceiling-repeats", type=int, help="runs of the loader alone (as -n)")
    parser.add_argument("-v", "--videos", type=int, help="requests a run (on a GPU 3000, else 24)")
    parser.add_argument("-bt", "--batch-timeout-ms", default="2", help="as for benchmark.py (%(default)s)")
    parser.add_argument(
        "--share", type=float, default=0.8, help="of the throughput, paced; 0: no (%(default)s)"
    )
    parser.add_argument("--paced-seconds", type=float, default=20, help="of the paced run (%(default)s)")
    parser.add_argument("--data", default="data/videos")
    args = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    names = GPU_CONFIGS if has_gpu else CPU_CONFIGS
    args.configs = args.configs or [f"config/{name}.json" for name in names]
    args.videos = args.videos or (3000 if has_gpu else 24)
    return args


def measure(config: str, args: argparse.Namespace) -> None:
    whole, decoding = play_in_turn(config, args)
    rates, ceiling = (spread([throughput(run) for run in runs]) for runs in (whole, decoding))
    figures = {
        "config": config,
        "videos_per_s": rates,
        "decode_only_videos_per_s": ceiling,
        "share_of_ceiling": rates["median"] / ceiling["median"],
        "busy_percent": busiest(whole[-1]),
        "decode_only_busy_percent": busiest(decoding[-1]),
    }
    line = (
        f"{_text(rates)} videos/s ({args.repeats} runs of {args.videos}); its loader alone {_text(ceiling)},"
        f" so {figures['share_of_ceiling']:.0%} of that; busy: "
        + ", ".join(f"{name} {value:.0f} %" for name, value in busiest(whole[-1]).items())
    )
    if args.share:
        rate = args.share * rates["median"]
        latency_ms = play_paced(config, rate, args)
        figures |= {"paced_videos_per_s": rate, "paced_latency_ms": latency_ms}
        line += f"; at {rate:.4g}/s p50 {latency_ms['p50']} ms, p99 {latency_ms['p99']} ms"
    show(f"whole pipeline {Path(config).stem}", line, figures)


def play_in_turn(config: str, args: argparse.Namespace) -> tuple[list[Run], list[Run]]:
    """Bulk runs of the pipeline, and of its loader alone."""
    flags = ("-mi", "0", "-v", str(args.videos), *common_flags(args))
    whole, decoding = [], []
    with tempfile.TemporaryDirectory() as folder:
        loader = str(decode_only(ROOT / config, Path(folder)))
        for number in range(args.repeats):
            whole.append(run_pipeline(config, *flags))
            if args.ceiling_repeats is None or number < args.ceiling_repeats:
                decoding.append(run_pipeline(loader, *flags))
    return whole, decoding


def play_paced(config: str, rate: float, args: argparse.Namespace) -> dict[str, float | None]:
    """Percentiles of the end-to-end latency in ms, with Poisson arrivals of `rate` requests/s."""
    num = str(max(args.videos, int(rate * args.paced_seconds)))
    run = run_pipeline(config, "-mi", f"{1000 / rate:.6f}", "-v", num, "-qs", num, *common_flags(args))
    percentiles = describe(END_TO_END, run.latency_ms).percentiles_ms
    return {name: None if value is None else round(value, 1) for name, value in percentiles.items()}


def common_flags(args: argparse.Namespace) -> tuple[str, ...]:
    return ("--data", args.data, "-bt", args.batch_timeout_ms)


def decode_only(config: Path, folder: Path) -> Path:
    """A config of the same loader in front of a step that does nothing; returns its path."""
    loader = read_config(config).pipeline().pipeline[0]
    groups = [group.model_dump(exclude_none=True) for group in loader.queue_groups]
    gpus = sorted({gpu for group in loader.queue_groups for gpu in group.gpus if gpu >= 0}) or [-1]
    queues = sorted({queue for group in loader.queue_groups for queue in group.out_queues or ()})
    step = loader.model_dump(exclude_none=True) | {"queue_groups": groups}
    consume = {"model": CONSUME, "queue_groups": [{"gpus": gpus[:1], "in_queue": queue} for queue in queues]}
    path = folder / f"decode-only-{config.name}"
    path.write_text(json.dumps({"video_path_iterator": VIDEOS, "pipeline": [step, consume]}))
    return path


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


def _text(rates: dict[str, float]) -> str:
    return f"{rates['median']:.4g} ({rates['min']:.4g} to {rates['max']:.4g})"


if __name__ == "__main__":
    main()
