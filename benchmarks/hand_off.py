"""Handing slots of 15 clips from step to step, without work in them. python -m benchmarks.hand_off"""

from __future__ import annotations

import argparse

from benchmarks.measuring import run_pipeline, show, spread, stages, throughput


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-n", "--repeats", type=int, default=3, help="runs of each kind (default %(default)s)"
    )
    parser.add_argument("--data", default="data/videos", help="any folder of videos; none is opened")
    parser.add_argument("--device", default="auto", help="as for benchmark.py")
    args = parser.parse_args()
    common = ("--data", args.data, "--device", args.device)
    config = "config/hand-off.json"
    bulk = [run_pipeline(config, "-mi", "0", "-v", "10000", *common) for _ in range(args.repeats)]
    paced = [stages(run_pipeline(config, "-mi", "5", "-v", "2000", *common)) for _ in range(args.repeats)]
    rates = spread([throughput(run) for run in bulk])
    hops_us = {p: spread([run["wait for step 1"][p] for run in paced]) for p in ("p50", "p99")}
    show(
        "hand-off",
        f"{rates['median']:.0f} slots/s in bulk; inference0_finish to runner1_start takes"
        f" {hops_us['p50']['median']:.0f} µs (p50), {hops_us['p99']['median']:.0f} µs (p99) at 200/s",
        {
            "slots_per_s": rates,
            "hop_us": hops_us,
            "device": bulk[0].meta.device_mode if bulk[0].meta else None,
        },
    )


if __name__ == "__main__":
    main()
