"""How long steps took between two statistics."""

from __future__ import annotations

from typing import Any

from rnb.demo.step_times import StepTime, step_times


def told(count: int, queue_ms: int, infer_ms: int) -> dict[str, Any]:
    ns = {"success": 0, "queue": queue_ms, "compute_input": 1, "compute_infer": infer_ms, "compute_output": 0}
    return {part: {"count": count, "ns": ms * 1_000_000} for part, ms in ns.items()}


def test_they_are_means_of_what_was_served_in_between() -> None:
    before = {"whole": told(2, 10, 20), "Loader-0": told(2, 4, 6), "Net-1": told(5, 0, 0)}
    after = {
        "whole": told(4, 14, 26),
        "Loader-0": told(4, 5, 16),
        "Net-1": told(5, 9, 9),
        "New-2": told(1, 1, 1),
    }
    assert step_times(before, after) == [StepTime("whole", 2.0, 3.0), StepTime("Loader-0", 0.5, 5.0)]
