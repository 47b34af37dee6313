"""The harness's own cost: client, then two steps that do nothing. python -m benchmarks.empty_pipeline"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.measuring import run_pipeline, show, spread, stages, throughput
from rnb.contract.events import DUE, SENT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-n", "--repeats", type=int, default=3, help="runs of each kind (default %(default)s)"
    )
    parser.add_argument("--data", default="data/videos", help="any folder of videos; none is opened")
    args = parser.parse_args()
    common = ("--data", args.data)
    bulk = [
        run_pipeline("config/empty.json", "-mi", "0", "-v", "20000", *common) for _ in range(args.repeats)
    ]
    start_up_s = spread([start_up(common) for _ in range(args.repeats)])
    paced = [
        stages(run_pipeline("config/empty.json", "-mi", "5", "-v", "2000", *common))
        for _ in range(args.repeats)
    ]
    fast = run_pipeline("config/empty.json", "-mi", "1", "-v", "10000", *common)
    hops_us = {p: spread([run["wait for step 1"][p] for run in paced]) for p in ("p50", "p99")}
    rates = spread([throughput(run) for run in bulk])
    show(
        "empty pipeline",
        f"{rates['median']:.0f} requests/s in bulk; a hop takes {hops_us['p50']['median']:.0f} µs (p50),"
        f" {hops_us['p99']['median']:.0f} µs (p99) at 200 requests/s; {start_up_s['median']:.1f} s to START!",
        {
            "requests_per_s": rates,
            "hop_us": hops_us,
            "start_up_s": start_up_s,
            "client_at_1000_per_s": client_figures(fast.times[DUE], fast.times[SENT]),
        },
    )


def start_up(common: Sequence[str]) -> float:
    """Seconds from the command to START!."""
    launched_epoch_ns = time.time_ns()
    run = run_pipeline("config/empty.json", "-mi", "0", "-v", "1", *common)
    assert run.meta.start_epoch_ns
    return (run.meta.start_epoch_ns - launched_epoch_ns) / 1e9


def client_figures(scheduled_ns: np.ndarray, sent_ns: np.ndarray) -> dict[str, float]:
    """How well the client kept to the schedule: the rate reached over the rate drawn, and its lateness."""
    lateness_ms = (sent_ns - scheduled_ns) / 1e6
    return {
        "rate_over_drawn": float(np.ptp(scheduled_ns) / np.ptp(sent_ns)),
        "lateness_p50_ms": float(np.percentile(lateness_ms, 50)),
        "lateness_p99_ms": float(np.percentile(lateness_ms, 99)),
    }


if __name__ == "__main__":
    main()
