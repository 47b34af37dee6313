from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnb.observe import occupancy_tables
from rnb.observe.occupancy_tables import COUNTERS, make_tables
from tests.support.gpu_use import LOADER, MS, NETWORK, samples, traced
from utils.cupti.kernel_windows import WindowedKernels

OFFSET_NS = 1_795_000_000_000_000_000
BOTH = [LOADER, NETWORK]


def test_gpus_are_told_over_time_in_the_same_stretches() -> None:
    later = samples(60, first_ns=20 * MS, device=1)
    table = make_tables(BOTH, [samples(80), later], {}, epoch_offset_ns=OFFSET_NS).occupancy
    assert table
    assert (table["time_ns"] - OFFSET_NS).tolist() == [10 * MS * number for number in range(8)]
    assert table["gpu0.occupancy_pct"].tolist() == [20, 20, 60, 60] * 2
    assert table["gpu1.tensor_pct"][:4].tolist() == pytest.approx([np.nan, np.nan, 0, 0], nan_ok=True)
    assert np.isnan(table["gpu0.dram_pct"]).all(), "this chip does not count it"


def test_occupancy_is_weighted_by_how_busy_the_multiprocessors_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy_tables, "MOST_STRETCHES", 1)
    table = make_tables(BOTH, [samples(80)], {}, epoch_offset_ns=0).occupancy
    assert table
    assert table["gpu0.sm_busy_pct"].tolist() == [60]
    assert table["gpu0.occupancy_pct"].tolist() == [(20 * 30 + 60 * 90) / 120]


def test_what_a_step_reached_is_told_by_the_samples_with_its_kernels_only() -> None:
    table = make_tables(BOTH, [samples(1000)], traced(100, 600), epoch_offset_ns=OFFSET_NS).kernel_windows
    assert table
    assert table["step"].tolist() == [0, 0, 1, 1]
    assert (table["start_ns"] - OFFSET_NS).tolist() == [100 * MS, 600 * MS] * 2
    assert table["own_ns"].tolist() == [100 * MS] * 4
    assert table["occupancy_pct"].tolist() == [20, 20, 60, 60]
    assert table["tensor_pct"].tolist() == [0, 0, 50, 50]
    assert np.isnan(table["sm_throughput_pct"]).all()
    assert table["gap_p50_ns"].tolist() == [1000, 1000, 2000, 2000]


def test_a_sample_with_kernels_of_both_steps_tells_of_none() -> None:
    found = traced(100)
    busy = np.full(200, 0.5 * MS, dtype=np.float32)
    for kernels in found.values():
        kernels.windows[0] = replace(kernels.windows[0], busy_per_bin_ns=busy)
    table = make_tables(BOTH, [samples(1000)], found, epoch_offset_ns=0).kernel_windows
    assert table
    assert table["own_ns"].tolist() == [0, 0]
    assert np.isnan(table["occupancy_pct"]).all()


def test_beside_a_runner_that_was_not_traced_nobody_knows_whose_the_counters_are() -> None:
    found = traced(100)
    found[LOADER] = WindowedKernels(problem="no permission")
    table = make_tables(BOTH, [samples(1000)], found, epoch_offset_ns=0).kernel_windows
    assert table
    assert table["step"].tolist() == [1]
    assert np.isnan([table[name][0] for name in COUNTERS]).all()
    alone = make_tables([NETWORK], [samples(1000)], {NETWORK: found[NETWORK]}, epoch_offset_ns=0)
    assert alone.kernel_windows
    assert alone.kernel_windows["occupancy_pct"].tolist() == [60]


def test_kernels_belong_to_the_rows_of_the_windows() -> None:
    tables = make_tables(BOTH, [], traced(100, 600), epoch_offset_ns=0)
    assert tables.occupancy is None
    assert tables.kernels
    assert tables.kernels["window"].tolist() == [0, 1, 2, 2, 3, 3]
    assert tables.kernels["kernel"].tolist() == ["resize"] * 2 + ["convolution", "copy"] * 2
    assert tables.kernels["num_launches"].tolist() == [200, 200, 190, 10, 190, 10]


def test_without_samples_and_windows_there_is_nothing() -> None:
    tables = make_tables(BOTH, [], {LOADER: WindowedKernels()}, epoch_offset_ns=0)
    assert tables == occupancy_tables.NOTHING_SEEN
