"""How often the range that --find-peak prints holds the truth, for queues of which theory knows it.

python -m benchmarks.peak_coverage
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measuring import show
from rnb.campaigns.campaign import Campaign
from rnb.campaigns.find_peak import bulk_rate_per_s, peak_search
from tests.support.played import NOTHING, spec_for
from tests.support.simulated_queues import Queue, player_of

CASES = (
    ("M/M/1", 60), ("M/M/1", 100), ("M/M/1", 200), ("M/M/1", 400),
    ("M/D/1", 30), ("M/D/1", 50), ("M/D/1", 100), ("M/D/1", 200),
    ("M/M/2", 60), ("M/M/2", 100), ("M/M/2", 200),
)  # fmt: skip
"""Queues with services of 6 ms, and bounds on the p99 in ms."""


def searches(queue: Queue, bound_ms: float, num_seeds: int, num_videos: int) -> dict[str, float]:
    """Of so many searches: how often the range held the truth, how wide it was, and how long they took."""
    true_per_s = queue.peak_per_s(bound_ms / 1e3)
    held, margins, errors, seconds = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        spec = spec_for(Path(folder), [NOTHING], videos=num_videos, mean_interval_ms=100)
        spec = spec.with_limits(slo=bound_ms, percentile=99, min_duration=0)
        for seed in range(num_seeds):
            campaign = Campaign(
                spec.with_load(seed=1000 * seed), Path(folder), "peak", player_of(queue, seed)
            )
            search = peak_search(campaign, lambda probe: None)
            search.run(bulk_rate_per_s(campaign) / 2)
            peak = search.peak()
            held.append((peak.low_per_s or 0) <= true_per_s <= (peak.high_per_s or np.inf))
            margins.append(peak.margin or 1.0)
            errors.append(abs(peak.best_per_s / true_per_s - 1) if peak.best_per_s else 1.0)
            seconds.append(sum(probe.seconds for probe in search.probes) * true_per_s / 100)
    return {
        "held": float(np.mean(held)),
        "margin_median": float(np.median(margins)),
        "margin_p90": float(np.quantile(margins, 0.9)),
        "error_median": float(np.median(errors)),
        "error_p95": float(np.quantile(errors, 0.95)),
        "seconds_at_100_per_s": float(np.median(seconds)),
        "most_seconds_at_100_per_s": max(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the range of --find-peak.")
    parser.add_argument("--seeds", type=int, default=100, help="searches of each case (default %(default)s)")
    parser.add_argument(
        "-v", "--videos", type=int, default=2000, help="requests of a probe (default %(default)s)"
    )
    args = parser.parse_args()
    for name, bound_ms in CASES:
        queue = Queue(name=name)
        load = queue.peak_per_s(bound_ms / 1e3) / queue.most_per_s
        found = searches(queue, bound_ms, args.seeds, args.videos)
        line = (
            f"{name}, p99 within {bound_ms} ms, a load of {load:.2f}: held {found['held']:.1%},"
            f" ±{found['margin_median']:.1%} (p90 ±{found['margin_p90']:.1%}), best guess off by"
            f" {found['error_median']:.1%} (p95 {found['error_p95']:.1%}),"
            f" {found['seconds_at_100_per_s']:.0f} s at 100/s"
            f" (at most {found['most_seconds_at_100_per_s']:.0f})"
        )
        show("peak coverage", line, {"queue": name, "bound_ms": bound_ms, "load": load, **found})


if __name__ == "__main__":
    main()
