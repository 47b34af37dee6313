"""What it costs to look: a pipeline in bulk, with nothing that looks and with each such thing alone, in turn.

    python -m benchmarks.cost_of_looking -c config/r2p1d-inference-fast.json -v 20000
    python -m benchmarks.cost_of_looking --variants telemetry

With it the cost of one sample of telemetry is measured by itself.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from benchmarks.measuring import run_pipeline, show, spread, throughput
from rnb.observe import nvml
from rnb.observe.telemetry import INTERVAL_S, Telemetry

BLIND = "blind"
FLAGS: dict[str, tuple[str, ...]] = {
    BLIND: ("--no-telemetry",),
    "telemetry": (),
    "trace": ("--no-telemetry", "--trace"),
    "html": ("--no-telemetry", "--html"),
    "occupancy": ("--no-telemetry", "--occupancy"),
}
NUM_PROCESSES = 4
SAMPLING_S = 1.0


def main() -> None:
    args = parse_arguments()
    always = ["-mi", "0", "-v", str(args.videos), "--data", args.data, "--device", args.device]
    variants = [BLIND, *args.variants]
    rates: dict[str, list[float]] = {variant: [] for variant in variants}
    for number in range(args.rounds):
        # The order changes, so that a machine that grows warm or busy favours none.
        for variant in variants[:: -1 if number % 2 else 1]:
            rates[variant].append(throughput(run_pipeline(args.config, *always, *FLAGS[variant])))
            print(f"round {number}, {variant}: {rates[variant][-1]:.1f} requests/s", file=sys.stderr)
    for variant in args.variants:
        ratio = spread([on / off for on, off in zip(rates[variant], rates[BLIND], strict=True)])
        medians = {name: spread(rates[name]) for name in (variant, BLIND)}
        show(
            f"cost of {variant}",
            f"{1 - ratio['median']:.2%} ({1 - ratio['max']:.2%} to {1 - ratio['min']:.2%}) of the throughput:"
            f" {medians[variant]['median']:.1f} requests/s with, {medians[BLIND]['median']:.1f} without it,"
            f" {args.rounds} rounds",
            {"config": args.config, "requests_per_s": medians, "ratio": ratio},
        )
    cpu_ms, wall_ms = cost_of_a_sample()
    show(
        "a sample of telemetry",
        f"{cpu_ms:.3f} ms of CPU, {wall_ms:.3f} ms in all, every {INTERVAL_S * 1000:.0f} ms",
        {"sample_cpu_ms": cpu_ms, "sample_ms": wall_ms},
    )


def cost_of_a_sample() -> tuple[float, float]:
    """CPU and wall time in ms, of all GPUs that CUDA shows and of NUM_PROCESSES processes."""
    gpus = dict(enumerate(nvml.machine().by_cuda_index()))
    pids = {f"step {number}": os.getpid() for number in range(NUM_PROCESSES)}
    before_s, before_cpu_s = time.perf_counter(), time.process_time()
    with Telemetry(gpus=gpus, pids=pids, interval_s=0) as telemetry:
        time.sleep(SAMPLING_S)
    cpu_s, wall_s = time.process_time() - before_cpu_s, time.perf_counter() - before_s
    num_samples = len(telemetry.columns(0)["time_ns"])
    return 1000 * cpu_s / num_samples, 1000 * wall_s / num_samples


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument(
        "--variants", nargs="+", choices=list(FLAGS)[1:], default=["telemetry", "trace", "html"]
    )
    parser.add_argument("-c", "--config", default="config/empty.json", help="default %(default)s")
    parser.add_argument("-v", "--videos", type=int, default=50_000, help="default %(default)s")
    parser.add_argument("--data", default="data/videos", help="default %(default)s")
    parser.add_argument("--device", default="auto", help="default %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
