"""What telemetry costs: the pipeline that does nothing, in bulk, with and without, in turn.

    python -m benchmarks.telemetry_cost

On a machine with GPUs, `--config config/r2p1d-inference-only.json -v 500` has NVML read a GPU at work.
"""

from __future__ import annotations

import argparse

from benchmarks.measuring import run_pipeline, show, spread, throughput

OFF = "--no-telemetry"


def main() -> None:
    args = parse_arguments()
    flags = ["-mi", "0", "-v", str(args.videos), "--data", args.data, "--device", args.device]
    rates: dict[str, list[float]] = {"on": [], "off": []}
    for pair in range(args.pairs):
        # The order changes, so that a machine that grows warm or busy favours neither.
        for state in sorted(rates, reverse=bool(pair % 2)):
            run = run_pipeline(args.config, *flags, *([OFF] if state == "off" else []))
            rates[state].append(throughput(run))
    medians = {state: spread(values) for state, values in rates.items()}
    ratio = spread([on / off for on, off in zip(rates["on"], rates["off"], strict=True)])
    show(
        "telemetry cost",
        f"{medians['on']['median']:.1f} requests/s with, {medians['off']['median']:.1f} without;"
        f" with / without of {args.pairs} pairs: {ratio['median']:.4f}"
        f" ({ratio['min']:.4f} to {ratio['max']:.4f})",
        {"config": args.config, "requests_per_s": medians, "ratio": ratio},
    )


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
