"""How well a simulation foresees the harness: drawn pipelines whose calls take known times, played and worked
out.

    PYTHONPATH=. python benchmarks/simulated_pipelines.py --pipelines 30

A round plays a calibration pipeline, the pipeline with all requests at once (its throughput), and the
pipeline at a rate below its capacity (its latency); the rounds follow each other, with the same arrivals in
each, and compared are the medians over them. Worked out are 'foreseen', from the known times and what the
calibration of the same round says that the machine and the harness add, and 'hindsight', with what the
machine added to each call in that very run, which leaves the rules of the simulator alone to blame. The
yardstick is 'noise': how far two of the real runs, which differ in nothing, are from each other; and the 95 %
interval of a real run's own p99. The exit status is 1 where one that is foreseen is off by more than WITHIN.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rnb.analysis.intervals import percentile_interval
from rnb.play import play
from rnb.record.run import Run
from rnb.simulation.service_times import Samples
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import RunSpec, schedule_of
from tests.support.known_times import spec_of, step
from tests.support.timed_pipelines import Timed, added_ns, draw, steps_of, surroundings_of

NUM_AT_ONCE, NUM_WARMUP = 250, 20
WITHIN = {"throughput": 0.03, "p50": 0.10, "p99": 0.10}
HOW = ("foreseen", "hindsight", "noise")


class Machine(NamedTuple):
    """What a calibration run says of it."""

    added: Samples
    run: Run


class Row(NamedTuple):
    """Of a pipeline."""

    errors: dict[tuple[str, str], float]
    """By HOW and figure, as shares."""
    p99_interval: float
    """Half its width, over the p99."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipelines", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="seed of the first one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paced", type=int, default=2_000, help="requests at a rate (%(default)s)")
    args = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}, {time.ctime()}")
    print(f"| | steps | `-b` | load | {' | '.join(HOW)} | p99 ± | load average |\n|{' --- |' * 9}")
    seeds = range(args.first, args.first + args.pipelines)
    rows = [compare(seed, args.rounds, args.paced) for seed in seeds]
    for how, name in itertools.product(HOW, WITHIN):
        values = np.abs([row.errors[how, name] for row in rows])
        within = int((values <= WITHIN[name]).sum())
        print(
            f"{how}, {name}: median of |error| {100 * np.median(values):.1f} %, worst"
            f" {100 * values.max():.1f} %, within {100 * WITHIN[name]:.0f} %: {within} of {len(values)}"
        )
    print(f"p99's own interval: ± {100 * np.median([row.p99_interval for row in rows]):.1f} % (median)")
    print(f"load average at the end {os.getloadavg()[0]:.1f}, {time.ctime()}")
    return int(any(abs(row.errors["foreseen", name]) > WITHIN[name] for row in rows for name in WITHIN))


def compare(seed: int, num_rounds: int, num_paced: int) -> Row:
    at_once = draw(seed).with_load(videos=NUM_AT_ONCE)
    machines = [calibrate(seed)]
    capacity = figure("throughput", foreseen(at_once, machines[0]))
    load = random.Random(seed).uniform(0.3, 0.8)
    paced = at_once.with_load(mean_interval_ms=1e3 / capacity / load, videos=num_paced, warmup=NUM_WARMUP)
    runs: dict[str, list[Run]] = {"at once": [], "paced": []}
    for number in range(num_rounds):
        machines += [calibrate(seed)] if number else []
        runs["at once"].append(played(at_once))
        runs["paced"].append(played(paced))
    errors = {}
    for spec, of_kind, names in (
        (at_once, runs["at once"], ("throughput",)),
        (paced, runs["paced"], ("p50", "p99")),
    ):
        before = [foreseen(spec, machine) for machine in machines]
        after = [hindsight(spec, run) for run in of_kind]
        for name in names:
            real = [figure(name, run) for run in of_kind]
            for how, worked_out in (("foreseen", before), ("hindsight", after)):
                others = [figure(name, run) for run in worked_out]
                errors[how, name] = float(np.median(others) / np.median(real)) - 1
            errors["noise", name] = noise(real)
    row = Row(errors, float(np.median([p99_interval(run) for run in runs["paced"]])))
    shown = [" / ".join(f"{100 * errors[how, name]:+.1f}" for name in WITHIN) for how in HOW]
    print(
        f"| {seed} | {described(paced)} | {paced.placement.batch_size} | {load:.2f} | {' | '.join(shown)} |"
        f" {100 * row.p99_interval:.1f} | {os.getloadavg()[0]:.1f} |",
        flush=True,
    )
    return row


def noise(values: Sequence[float]) -> float:
    """How far two equal runs are from each other: the median over all pairs, as a share."""
    pairs = itertools.combinations(values, 2)
    return float(np.median([max(pair) / min(pair) - 1 for pair in pairs])) if len(values) > 1 else 0.0


def p99_interval(run: Run) -> float:
    """Half the width of the 95 % interval of its p99, as a share of it."""
    values = run.latency_ms[run.finished]
    p99_ms = figure("p99", run)
    found = percentile_interval(values, np.sort(values), 99, p99_ms)
    high = None if found is None else found.high
    return (high - found.low) / 2 / p99_ms if found and high is not None else float("inf")


def described(spec: RunSpec) -> str:
    steps = [(one["model"].rpartition(".")[2], len(one["gpus"])) for one in steps_of(spec)]
    return ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in steps)


def calibrate(seed: int) -> Machine:
    """A run of three steps that hardly wait for each other."""
    times: dict[str, Any] = {"fixed_ms": 6.0, "row_ms": 0.5}
    spec = spec_of(
        step("Source", **times), step("ChangeOne", **times), step("ChangeOne", **times),
        mean_interval_ms=12, videos=200, seed=1000 + seed,
    )  # fmt: skip
    run = played(spec)
    return Machine(Samples([value for each in added_ns(run).values() for value in each.values()]), run)


def foreseen(spec: RunSpec, machine: Machine) -> Run:
    """The first step, those in the middle, and the last are like those of the calibration."""
    steps = steps_of(spec)
    like = [0, *[1] * (len(steps) - 2), 2][: len(steps)]
    return worked_out(spec, Timed(steps=steps, added=machine.added), surroundings_of(machine.run, like))


def hindsight(spec: RunSpec, run: Run) -> Run:
    steps = steps_of(spec)
    around = surroundings_of(run, range(len(steps)))
    return worked_out(spec, Timed(steps=steps, added_ns=added_ns(run)), around)


def worked_out(spec: RunSpec, times: Timed, around: Surroundings) -> Run:
    spec, schedule = schedule_of(spec)
    return simulate(spec, schedule, times, around=around)


def played(spec: RunSpec) -> Run:
    run = play(*schedule_of(replace(spec, observe=())))
    assert run.meta.is_success, run.meta.message
    return run


def figure(name: str, run: Run) -> float:
    """Requests/s, or a percentile of the latency in ms."""
    if name == "throughput":
        return float(run.finished.sum()) / run.seconds
    return float(np.percentile(run.latency_ms[run.finished], float(name[1:])))


if __name__ == "__main__":
    sys.exit(main())
