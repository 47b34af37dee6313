"""Leaks: found where a process keeps a little of each request, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.memory import MIN_GROWTH_BYTES, growth_per_request, memory_uses
from rnb.analysis.reasons import Reason
from rnb.analysis.verdict import judge
from rnb.record.run import Run, Table
from tests.support.simulated_runs import simulate

KIB, MIB = 1024, 1024 * 1024
Held = NDArray[np.int64]
Course = Callable[[np.random.Generator, int], Held]
"""What a process holds after each of so many calls."""


def noise(lots: np.random.Generator, n: int) -> Held:
    """Temporary tensors that are there or not, of pools and of a garbage collector that waits."""
    pools = 64 * KIB * lots.integers(0, 40, n)
    garbage = (np.arange(n) * 10 * KIB) % (MIB * int(lots.integers(1, 9)))
    return np.asarray(300 * MIB + pools + garbage, dtype=np.int64)


def steady(lots: np.random.Generator, n: int) -> Held:
    return noise(lots, n)


def filling(lots: np.random.Generator, n: int) -> Held:
    """Caches and pools that fill, fast at first."""
    return noise(lots, n) + (50 * MIB * (1 - np.exp(-6 * np.arange(n) / n))).astype(np.int64)


def jumping(lots: np.random.Generator, n: int) -> Held:
    """A larger request than before needs a larger workspace, once or twice."""
    jumps = sum(20 * MIB * (np.arange(n) >= at) for at in lots.integers(0, n, 2))
    return np.asarray(noise(lots, n) + jumps, dtype=np.int64)


def falling(lots: np.random.Generator, n: int) -> Held:
    return noise(lots, n) - 20 * KIB * np.arange(n)


def wavering(lots: np.random.Generator, n: int) -> Held:
    """Up and down with the load, a few times in a run."""
    waves = np.sin(np.arange(n) / n * 2 * np.pi * lots.uniform(1.5, 5) + lots.uniform(0, 6))
    return noise(lots, n) + (30 * MIB * (1 + waves)).astype(np.int64)


@pytest.mark.parametrize("course", [steady, filling, jumping, falling, wavering])
@pytest.mark.parametrize("num_calls", [300, 2000])
def test_no_false_alarm(course: Course, num_calls: int) -> None:
    lots = np.random.default_rng(num_calls)
    found = [growth_per_request(course(lots, num_calls), np.ones(num_calls, np.int64)) for _ in range(200)]
    assert [one for one in found if one is not None] == []


@pytest.mark.parametrize("num_calls", [400, 2000, 20_000])
@pytest.mark.parametrize("batch", [1, 4])
def test_what_keeps_64_kib_of_each_request_is_found(num_calls: int, batch: int) -> None:
    lots, num_requests = np.random.default_rng(7), np.full(num_calls, batch)
    for course in (steady, wavering):
        for _ in range(20 if course is steady or num_calls * batch > 5000 else 0):
            held = course(lots, num_calls) + 64 * KIB * np.cumsum(num_requests)
            assert growth_per_request(held, num_requests) == pytest.approx(64 * KIB, rel=0.3)


def test_little_growth_or_few_requests_say_nothing() -> None:
    def growth(num_calls: int, bytes_per_call: float) -> float | None:
        held = (300 * MIB + bytes_per_call * np.arange(num_calls)).astype(np.int64)
        return growth_per_request(held, np.ones(num_calls, np.int64))

    assert growth(1000, 64 * KIB) is not None
    assert growth(100, 64 * KIB) is None, "too few requests"
    assert growth(1000, 0.9 * MIN_GROWTH_BYTES / 900) is None, "too few bytes"
    assert growth(1000, 0.9 * 0.02 * 300 * MIB / 900) is None, "too small a share"
    assert growth_per_request(np.array([1, 2]), np.array([500, 500])) is None, "too few calls"


def table_of(**held: Held) -> Table:
    """Of replicas by name, a process each, one request a call; 'a' is step 0.0."""
    names = {"a": "step 0.0", "b": "step 1.0"}
    columns = {
        "replica": np.concatenate([np.full(len(one), names[name[0]], object) for name, one in held.items()]),
        "pid": np.concatenate([np.full(len(one), pid) for pid, one in enumerate(held.values())]),
        "held_bytes": np.concatenate(list(held.values())),
    }
    n = len(columns["pid"])
    return {
        **columns,
        "peak_bytes": columns["held_bytes"] + 5,
        "num_requests": np.ones(n, np.int64),
        "num_rows": np.where(np.arange(n) == 3, 9, 1),
    }


def watched(table: Table) -> Run:
    run = simulate(num_requests=500)
    run.tables["memory"] = table
    return run


def test_the_verdict_names_the_step_that_leaks() -> None:
    lots, n = np.random.default_rng(0), 1000
    leak = steady(lots, n) + 64 * KIB * np.arange(n)
    verdict = judge(watched(table_of(a=steady(lots, n), b=leak)))
    (finding,) = [one for one in verdict.findings if one.reason is Reason.MEMORY_GROWS]
    assert finding.seen.startswith("step 1.0 keeps 6")
    assert "KiB of each request; 38" in finding.seen
    assert "mend step 1," in finding.advice
    verdict = judge(watched(table_of(a=steady(lots, n), b=steady(lots, n))))
    assert Reason.MEMORY_GROWS not in {one.reason for one in verdict.findings}


def test_each_process_of_a_replica_is_looked_at_by_itself() -> None:
    """Recycled before it has kept much, a leak is none of the run."""
    lots = np.random.default_rng(0)
    parts = {f"a{number}": steady(lots, 40) + 64 * KIB * np.arange(40) for number in range(25)}
    (use,) = memory_uses(watched(table_of(**parts)))
    assert use.growth_per_request_bytes is None


def test_what_each_replica_held() -> None:
    a, b = np.array([10, 30, 20, 25, 21]) * MIB, np.array([7, 7, 7])
    first, second = memory_uses(watched(table_of(a=a, b=b)))
    assert (first.replica, first.step) == ("step 0.0", "step 0")
    assert (first.held_bytes, first.most_held_bytes, first.peak_bytes) == (21 * MIB, 30 * MIB, 30 * MIB + 5)
    assert first.by_rows == {"<= 1": 30 * MIB + 5, "<= 16": 25 * MIB + 5}
    assert first.by_pixels == {}
    sizes = np.array([0, 640 * 480, 640 * 480, 320 * 240, 320 * 240])
    (sized,) = memory_uses(watched({**table_of(a=a), "num_pixels": sizes}))
    assert sized.by_pixels == {"<= 131072": 25 * MIB + 5, "<= 524288": 30 * MIB + 5}
    assert second.most_held_bytes == 7
    assert memory_uses(simulate(num_requests=500)) == []
