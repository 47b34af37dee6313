"""What telemetry costs: the pipeline that does nothing, in bulk, with and without, in turn.

    python -m benchmarks.telemetry_cost

On a machine with GPUs, `--config config/r2p1d-inference-only.json -v 500` has NVML read a GPU at work.
"""

from __future__ import annotations

import argparse
import os
import time

from benchmarks.measuring import run_pipeline, show, spread, throughput
from rnb.observe import nvml
from rnb.observe.telemetry import INTERVAL_S, Telemetry

OFF = "--no-telemetry"
NUM_PROCESSES = 4
SAMPLING_S = 1.0


def main() -> None:
    args = parse_arguments()
    flags = ["-mi", "0", "-v", str(args.videos), "--data", args.data, "--device", args.device]
    rates: dict[str, list[float]] = {"on": [], "off": []}
    for pair in range(args.pairs):
        # The order changes, so that a machine that grows warm or busy favours neither.
        for state in sorted(rates, reverse=bool(pair % 2)):
            run = run_pipeline(args.config, *flags, *([OFF] if state == "off" else []))
            rates[state].append(throughput(run))
    cpu_ms, wall_ms = cost_of_a_sample()
    medians = {state: spread(values) for state, values in rates.items()}
    ratio = spread([on / off for on, off in zip(rates["on"], rates["off"], strict=True)])
    show(
        "telemetry cost",
        f"{medians['on']['median']:.1f} requests/s with, {medians['off']['median']:.1f} without;"
        f" with / without of {args.pairs} pairs: {ratio['median']:.4f}"
        f" ({ratio['min']:.4f} to {ratio['max']:.4f});"
        f" a sample takes {cpu_ms:.3f} ms of CPU, {wall_ms:.3f} ms in all, every {INTERVAL_S * 1000:.0f} ms",
        {
            "config": args.config,
            "requests_per_s": medians,
            "ratio": ratio,
            "sample_cpu_ms": cpu_ms,
            "sample_ms": wall_ms,
        },
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
    parser.add_argument("-n", "--pairs", type=int, default=7, help="pairs of runs (default %(default)s)")
    parser.add_argument("-c", "--config", default="config/empty.json", help="default %(default)s")
    parser.add_argument("-v", "--videos", type=int, default=50_000, help="default %(default)s")
    parser.add_argument("--data", default="data/videos", help="default %(default)s")
    parser.add_argument("--device", default="auto", help="default %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
