"""How long it takes to screen candidates: their bounds, and then a simulation of each that they leave.

    PYTHONPATH=. python benchmarks/screening_speed.py --candidates 10000

The pipeline has three steps of known times and batches. 'in full' works NUM_IN_FULL of them out with the
1,000 requests that those near the best get; 'as optimize.py does' leaves to their bounds what cannot be
better than the best, and to 250 requests what falls far short of it.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import time
from pathlib import Path
from typing import Any

from rnb.pipeline.step_type import asking_once
from rnb.planner.goal import Goal, Prediction
from rnb.planner.parallel import Predictor
from rnb.planner.profile import Profile
from rnb.planner.profiling import profile_by_runs
from rnb.planner.screening import Simulator, candidates_of, screen
from rnb.planner.space import Limits, Space, Values
from tests.rnb.planner.test_screening import Truth
from tests.support.known_times import spec_of, step

CORES, NUM_IN_FULL = 24, 200
GOALS = {
    "throughput": Goal(name="throughput"),
    "rate within 200 ms": Goal(name="rate", slo=200),
    "latency at 100/s": Goal(name="latency", rate=100),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=10_000)
    args = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}, {time.ctime()}")
    space = Space(
        spec_of(*({**step(name), "gpus": [-1]} for name in ("Source", "Change", "Change"))),
        Limits(num_gpus=0, cores=CORES),
    )
    profile = Profile()
    profile_by_runs(profile, space, Truth(), Path("nowhere"), seconds=600)
    simulator = Simulator(profile=profile, cores=CORES)
    stride = max(1, space.num_candidates // args.candidates)
    chosen = list(itertools.islice(itertools.islice(space.candidates(), 0, None, stride), args.candidates))
    print(f"{len(chosen):,} of {space.num_candidates:,} candidates")
    in_full(GOALS["throughput"], simulator, space, chosen[:: max(1, len(chosen) // NUM_IN_FULL)])
    for name, goal in GOALS.items():
        pruned(name, goal, simulator, space, chosen)
    print(f"load average at the end {os.getloadavg()[0]:.1f}")


def in_full(goal: Goal, simulator: Simulator, space: Space, chosen: list[Values]) -> None:
    timer = _Timer()
    with asking_once():
        left = candidates_of(space, goal, simulator, chosen).left
        for candidate in left:
            simulator.predict(goal, candidate)
    timer.tell(f"throughput, in full: {len(left):,} worked out of {len(chosen):,}")


def pruned(name: str, goal: Goal, simulator: Simulator, space: Space, chosen: list[Values]) -> None:
    timer, known = _Timer(), dict[Values, Prediction]()
    with asking_once(), Predictor(goal, simulator, space) as predictor:
        found = candidates_of(space, goal, simulator, chosen)
        screen(found, goal, predictor.predict, known=known, until_s=math.inf)
    timer.tell(f"{name}, as optimize.py does: {len(known):,} worked out")


class _Timer:
    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.monotonic(), _cpu_s()

    def tell(self, what: Any) -> None:
        wall_s, cpu_s = time.monotonic() - self._wall_s, _cpu_s() - self._cpu_s
        print(f"{what}: {wall_s:.0f} s, {cpu_s:.0f} s of one core", flush=True)


def _cpu_s() -> float:
    """Of this process and of those that worked for it and have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
