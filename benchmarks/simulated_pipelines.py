"""How well a simulation foresees the harness: drawn pipelines whose calls take known times, played and worked
out.

    python benchmarks/simulated_pipelines.py --pipelines 30

Each is played twice: with all requests at once for the throughput, and at a rate below its capacity for the
latency. Worked out are both before ('foreseen': the known times, and what a calibration run of another
pipeline says that the machine and the harness add) and after ('hindsight': with what the machine added to
each call in this very run, which leaves the rules of the simulator alone to blame).
"""

from __future__ import annotations

import argparse
import os
import random
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rnb.play import play
from rnb.record.run import Run
from rnb.simulation.service_times import Samples
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import RunSpec, schedule_of
from tests.support.known_times import spec_of, step
from tests.support.timed_pipelines import Timed, added_ns, draw, steps_of, surroundings_of

NUM_AT_ONCE, SECONDS, NUM_WARMUP = 250, 8.0, 20
WITHIN = {"throughput": 0.03, "p50": 0.10, "p99": 0.10}


class Machine(NamedTuple):
    """What a calibration run says of it."""

    added: Samples
    run: Run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipelines", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="seed of the first one")
    args = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}")
    errors: dict[str, list[float]] = {}
    for seed in range(args.first, args.first + args.pipelines):
        errors_of_one = compare(seed)
        for name, error in errors_of_one.items():
            errors.setdefault(name, []).append(error)
    for name, values in errors.items():
        bound = WITHIN[name.split()[1]]
        within = sum(abs(value) <= bound for value in values)
        print(
            f"{name}: median of |error| {100 * np.median(np.abs(values)):.1f} %, worst"
            f" {100 * np.max(np.abs(values)):.1f} %, within {100 * bound:.0f} %: {within} of {len(values)}"
        )
    print(f"load average at the end {os.getloadavg()[0]:.1f}")


def compare(seed: int) -> dict[str, float]:
    machine = calibrate(seed)
    at_once = draw(seed).with_load(videos=NUM_AT_ONCE)
    capacity = figure("throughput", foreseen(at_once, machine))
    load = random.Random(seed).uniform(0.3, 0.8)
    num_requests = max(200, int(SECONDS * capacity * load))
    paced = at_once.with_load(mean_interval_ms=1e3 / capacity / load, videos=num_requests, warmup=NUM_WARMUP)
    errors, shown = {}, []
    for spec, names in ((at_once, ("throughput",)), (paced, ("p50", "p99"))):
        run = played(spec)
        for how, worked_out in (("foreseen", foreseen(spec, machine)), ("hindsight", hindsight(spec, run))):
            for name in names:
                real, other = figure(name, run), figure(name, worked_out)
                error = other / real - 1
                errors[f"{how} {name}"] = error
                shown.append(f"{how} {name} {other:.2f} for {real:.2f} ({100 * error:+.1f} %)")
    steps = " ".join(f"{one['model'].rpartition('.')[2]}x{len(one['gpus'])}" for one in steps_of(paced))
    print(
        f"{seed}: {steps}, -b {paced.placement.batch_size}, load {load:.2f}: " + "; ".join(shown), flush=True
    )
    return errors


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
    steps = steps_of(spec)
    return worked_out(spec, Timed(steps=steps, added=machine.added), surroundings_of(machine.run, len(steps)))


def hindsight(spec: RunSpec, run: Run) -> Run:
    steps = steps_of(spec)
    return worked_out(spec, Timed(steps=steps, added_ns=added_ns(run)), surroundings_of(run, len(steps)))


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
    main()
