"""What the harness costs, as measured on the spot."""

from __future__ import annotations

from rnb.planner.harness import measure_harness


def test_it_is_measured() -> None:
    """A send holds a put, which takes microseconds, not milliseconds; no cost is none."""
    costs = measure_harness()
    assert 0 < costs.put_ns < costs.send_ns < 10_000_000
    assert 0 < costs.take_ns < 10_000_000
