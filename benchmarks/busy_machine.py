"""How often equal runs are told apart on a machine where others work: real runs beside CPU hogs.

python -m benchmarks.busy_machine

Short runs of config/queueing-md1.json, all alike, are played one after the other, while hogs come and go.
Every two neighbours are compared as single runs, and every RUNS_OF_GROUPS in a row as two groups in turn.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import ROOT, show
from rnb.analysis.comparison import DIFFERS, FASTER, SLOWER, Group, contrast, members_of
from rnb.analysis.run_search import FoundRun
from rnb.contract.termination import Termination
from rnb.load.load import Load
from rnb.pipeline.config import read_config
from rnb.play import play
from rnb.record.run import Run
from rnb.spec import Placement, RunSpec, schedule_of

RUNS_OF_GROUPS = (6, 10)
HOG_S = 15.0
"""How long the same number of hogs works, about."""


def hog(end_s: float) -> None:
    while time.monotonic() < end_s:
        sum(range(10_000))


class Hogs:
    """Up to two for each CPU, another number every now and then."""

    def __init__(self, seed: int) -> None:
        self._random, self._until_s = random.Random(seed), 0.0
        self._hogs: list[multiprocessing.process.BaseProcess] = []

    def change(self) -> int:
        """Start others if it is time; returns how many work."""
        now_s = time.monotonic()
        if now_s >= self._until_s:
            self.end()
            self._until_s = now_s + self._random.uniform(0.5, 1.5) * HOG_S
            count = self._random.randint(0, 2 * len(os.sched_getaffinity(0)))
            context = multiprocessing.get_context("spawn")
            self._hogs = [
                context.Process(target=hog, args=(self._until_s + 2 * HOG_S,), daemon=True)
                for _ in range(count)
            ]
            for one in self._hogs:
                one.start()
        return len(self._hogs)

    def end(self) -> None:
        for one in self._hogs:
            one.kill()
            one.join()


def run_of(spec: RunSpec, number: int) -> Run:
    run = play(*schedule_of(spec))
    if run.meta.termination_flag != Termination.TARGET_NUM_VIDEOS_REACHED:
        raise RuntimeError(f"run {number}: {run.meta.message}")
    return run


def verdict(runs: Sequence[Run]) -> str:
    """Of every second one against the others."""
    in_order = [*range(0, len(runs), 2), *range(1, len(runs), 2)]
    members = members_of((FoundRun(folder=Path(str(at)), swept=None), runs[at]) for at in in_order)
    half = len(runs) // 2
    return contrast(Group(members=tuple(members[:half])), Group(members=tuple(members[half:]))).verdict


def main() -> None:
    parser = argparse.ArgumentParser(description="False verdicts on a busy machine.")
    parser.add_argument("--seconds", type=float, default=300, help="how long to play (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the hogs (default %(default)s)")
    args = parser.parse_args()
    spec = RunSpec(
        config=read_config(ROOT / "config" / "queueing-md1.json"),
        load=Load(mean_interval_ms=20, videos=110, warmup=10),
        placement=Placement(device="cpu"),
        observe=(),
    )
    hogs, num_hogs = Hogs(args.seed), list[int]()
    runs: list[Run] = []
    end_s = time.monotonic() + args.seconds
    try:
        while time.monotonic() < end_s:
            num_hogs.append(hogs.change())
            runs.append(run_of(spec, len(runs)))
    finally:
        hogs.end()
    pairs = [verdict(pair) for pair in itertools.pairwise(runs)]
    means_ms = [float(run.latency_ms[run.finished].mean()) for run in runs]
    print(f"{len(runs)} equal runs, mean latency {min(means_ms):.2f} to {max(means_ms):.2f} ms")
    figures = {"num_runs": len(runs), "num_pairs": len(pairs), "pairs_differ": pairs.count(DIFFERS)}
    line = (
        f"single runs: {pairs.count(DIFFERS)} of {len(pairs)} neighbours '{DIFFERS}', none faster or slower"
    )
    for size in RUNS_OF_GROUPS:
        found = [verdict(runs[at : at + size]) for at in range(len(runs) - size + 1)]
        told = sum(one in (FASTER, SLOWER) for one in found)
        line += f"; {size // 2} runs on each side: {told} of {len(found)} told apart"
        figures |= {f"groups_of_{size // 2}": len(found), f"told_apart_of_{size // 2}": told}
    show("busy machine", f"up to {max(num_hogs)} hogs, {line}", figures)


if __name__ == "__main__":
    main()
