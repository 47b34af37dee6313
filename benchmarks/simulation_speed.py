"""How many events a second a simulation gets through, by CPU time.

    python benchmarks/simulation_speed.py

An event is one entry of the calendar: a request that comes, a worker that wakes, a call that ends.
"""

from __future__ import annotations

import os
import time

import numpy as np

from rnb.simulation.simulate import Simulation, Surroundings
from rnb.spec import RunSpec, plan_of, schedule_of
from tests.support.known_times import KnownTimes, spec_of, step

COUNT = 100_000
SERVICES_MS = np.random.default_rng(1).exponential(9.0, COUNT).tolist()
CASES = {
    "one step, two replicas": spec_of(step(replicas=2), mean_interval_ms=6.4, videos=COUNT),
    "two steps, slots, batches of 4": spec_of(
        step("Source", replicas=2), step("Change", replicas=2),
        placement={"batch_size": 4, "batch_timeout_ms": 2}, mean_interval_ms=6.4, videos=COUNT,
    ),
}  # fmt: skip


def main() -> None:
    print(f"load average {os.getloadavg()[0]:.1f}")
    for name, spec in CASES.items():
        measure(name, spec)


def measure(name: str, spec: RunSpec) -> None:
    spec, schedule = schedule_of(spec)
    plan = plan_of(spec, num_requests=COUNT)
    times = KnownTimes(lambda step, rows, request: SERVICES_MS[request])
    simulation = Simulation(spec, schedule, times, Surroundings(), plan)
    began_s = time.process_time()
    simulation.run()
    seconds = time.process_time() - began_s
    events = simulation.calendar.num_events
    print(f"{name}: {events / seconds:,.0f} events/s, {COUNT / seconds:,.0f} requests/s")


if __name__ == "__main__":
    main()
