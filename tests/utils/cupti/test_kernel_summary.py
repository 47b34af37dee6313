from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from utils.cupti.kernel_summary import busy_per_bin, gaps, top_kernels


def make_table(*rows: tuple[str, int, int], steps: tuple[str, ...] = (), device: int = 0) -> dict[str, Any]:
    """A `cupti.kernel_table()` of (name, start_ns, end_ns); row i belongs to steps[i], if there are any."""
    names = sorted({name for name, _, _ in rows})
    step_names = sorted(set(steps))
    return {
        "names": names,
        "steps": step_names,
        "name": np.array([names.index(name) for name, _, _ in rows], dtype=np.int32),
        "start_ns": np.array([start_ns for _, start_ns, _ in rows], dtype=np.int64),
        "end_ns": np.array([end_ns for _, _, end_ns in rows], dtype=np.int64),
        "device": np.full(len(rows), device, dtype=np.int32),
        "stream": np.zeros(len(rows), dtype=np.int32),
        "theoretical_occupancy_pct": np.array([50.0] * len(rows)),
        "step": np.array([step_names.index(s) for s in steps] or [-1] * len(rows), dtype=np.int32),
        "request": np.arange(len(rows), dtype=np.int64),
    }


def test_top_kernels_are_ordered_by_their_time_together() -> None:
    table = make_table(("short", 0, 10), ("long", 10, 40), ("short", 40, 65), ("tiny", 65, 70))
    first, second = top_kernels(table, 2)
    assert (first.name, first.num_launches, first.total_ns, first.mean_ns) == ("short", 2, 35, 17.5)
    assert (second.name, second.num_launches, second.total_ns) == ("long", 1, 30)
    assert first.share_pct == pytest.approx(50)
    assert first.theoretical_occupancy_pct == pytest.approx(50)


def test_top_kernels_leaves_out_names_without_a_launch() -> None:
    table = {**make_table(("b", 1, 2)), "names": ["b", "a kernel of another time"]}
    assert [kernel.name for kernel in top_kernels(table)] == ["b"]


def test_gaps_between_kernels_in_any_order() -> None:
    idle = gaps(make_table(("k", 100, 110), ("k", 0, 50), ("k", 55, 60)))
    assert (idle.span_ns, idle.busy_ns, idle.num_gaps, idle.total_ns, idle.max_ns) == (110, 65, 2, 45, 40)
    assert idle.p50_ns == pytest.approx(22.5)
    assert idle.busy_pct == pytest.approx(100 * 65 / 110)


def test_kernels_that_overlap_count_once() -> None:
    idle = gaps(make_table(("outer", 0, 100), ("inner", 10, 20), ("next", 105, 110)))
    assert (idle.busy_ns, idle.num_gaps, idle.total_ns) == (105, 1, 5)


def test_no_kernels_have_no_gaps() -> None:
    idle = gaps(make_table())
    assert (idle.span_ns, idle.num_gaps, idle.busy_pct) == (0, 0, 0.0)
    assert math.isnan(idle.p50_ns)


def test_busy_time_is_told_by_bins_with_overlaps_counted_once() -> None:
    table = make_table(("a", 5, 25), ("b", 12, 18), ("c", 20, 31), ("d", 58, 60))
    edges_ns = np.array([0, 10, 20, 30, 40, 50, 60])
    assert busy_per_bin(table, edges_ns).tolist() == [5, 10, 10, 1, 0, 2]
    assert busy_per_bin(table, np.array([15, 30])).tolist() == [15]


def test_without_kernels_no_bin_is_busy() -> None:
    assert busy_per_bin(make_table(), np.array([0, 10, 20])).tolist() == [0, 0]
