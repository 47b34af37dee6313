"""The simulator against the real harness: drawn pipelines whose calls take known times.

benchmarks/simulated_pipelines.py does the same for thirty of them, and docs/optimize.md has its table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnb.play import play
from rnb.record.run import Run
from rnb.simulation.simulate import simulate
from rnb.spec import RunSpec, schedule_of
from tests.support.known_times import TIMED, spec_of
from tests.support.timed_pipelines import Timed, added_ns, draw, steps_of, surroundings_of

THROUGHPUT_WITHIN, P50_WITHIN = 0.15, 0.25
"""A rule that is wrong shows as more. The benchmark asks for 3 and 10 %: its runs are longer, and have the
machine for themselves, while other tests run beside these."""
ATTEMPTS = 3
"""On a machine with other work a process may be put aside at any point, which no service time tells of."""


def errors_of(spec: RunSpec) -> dict[str, float]:
    """Throughput and median latency, worked out with what each call took, over those that were measured."""
    spec, schedule = schedule_of(replace(spec, observe=()))
    run = play(spec, schedule)
    steps = steps_of(spec)
    around = surroundings_of(run, range(len(steps)))
    other = simulate(spec, schedule, Timed(steps=steps, added_ns=added_ns(run)), around=around)
    return {
        "throughput": other.finished.sum() / other.seconds * run.seconds / run.finished.sum() - 1,
        "p50": _median_ms(other) / _median_ms(run) - 1,
    }


def _median_ms(run: Run) -> float:
    return float(np.median(run.latency_ms[run.finished]))


@pytest.mark.parametrize("seed", [0, 1, 2, 7, 9, 14])
def test_it_foresees_throughput_and_latency(seed: int) -> None:
    check(draw(seed).with_load(videos=120))


def test_it_foresees_what_large_requests_apart_do() -> None:
    """One replica makes the rows of large ones, and in between of small ones, as two others do."""
    size = {"gpus": [0], "out_queues": [0, 1], "queue_selector": f"{TIMED}.MostRowsApart"}
    fast = {"gpus": [0], "in_queue": [1, 0], "out_queues": [0]}
    others = {"gpus": [0, 0], "in_queue": 0, "out_queues": [0]}
    steps = (
        {"model": f"{TIMED}.Size", "queue_groups": [size], "fixed_ms": 0.5},
        {"model": f"{TIMED}.Source", "queue_groups": [fast, others], "fixed_ms": 4, "row_ms": 4},
        {"model": f"{TIMED}.Change", "queue_groups": [{"gpus": [0], "in_queue": 0}], "fixed_ms": 1},
    )
    check(spec_of(*steps).with_load(videos=120))


def check(spec: RunSpec) -> None:
    seen = []
    for _ in range(ATTEMPTS):
        found = errors_of(spec)
        if abs(found["throughput"]) <= THROUGHPUT_WITHIN and abs(found["p50"]) <= P50_WITHIN:
            return
        seen.append(found)
    pytest.fail(f"off by {seen}")
