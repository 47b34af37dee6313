from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnb.analysis.occupancy import NUM_TOP, Occupancy, occupancy_of
from rnb.contract.events import DUE
from rnb.observe.occupancy_tables import Tables, make_tables
from rnb.record.run import Run
from rnb.record.run_folder import read, write
from rnb.show.text.occupancy_text import occupancy_text
from rnb.show.trace import trace as perfetto_trace
from tests.support.gpu_use import LOADER, MS, NETWORK, samples, traced
from tests.support.sample_runs import START_NS
from tests.support.simulated_runs import simulate
from tests.support.trace_json import Trace


def run_with(tables: Tables) -> Run:
    """A run of more than a second; what was seen began with it."""
    run = simulate(num_requests=300)
    run.times[DUE][0] = START_NS
    run.tables |= {name: table for name, table in vars(tables).items() if table is not None}
    return run


@pytest.fixture(scope="module")
def occupancy() -> Occupancy:
    """Before the run the GPU was busier than later, which must not count."""
    seen = samples(1480, first_ns=-480 * MS)
    for values in seen.columns.values():
        values[:240] = 99
    tables = make_tables([LOADER, NETWORK], [seen], traced(-300, 100, 600), epoch_offset_ns=START_NS)
    found = occupancy_of(run_with(tables))
    assert found
    return found


def test_a_gpu_is_told_by_its_counters_over_the_measured_phase(occupancy: Occupancy) -> None:
    (gpu,) = occupancy.gpus
    assert gpu.gpu == 0
    assert gpu.counters["sm_busy_pct"] == pytest.approx(60)
    assert gpu.counters["occupancy_pct"] == pytest.approx(50)
    assert gpu.counters["tensor_pct"] == pytest.approx(25)
    assert gpu.counters["dram_pct"] is None


def test_a_step_is_told_by_its_kernels(occupancy: Occupancy) -> None:
    loader, network = occupancy.steps
    assert (loader.step, loader.gpu, loader.num_runners, network.step) == (0, 0, 1, 1)
    assert network.traced_s == pytest.approx(0.4)
    assert network.kernels_per_s == pytest.approx(1000)
    assert network.busy == pytest.approx(0.5)
    assert (loader.gap_p50_us, network.gap_p50_us, network.gap_p99_us) == (1, 2, 20)
    assert network.gap_max_us == 20_000
    assert loader.counters["occupancy_pct"] == pytest.approx(20)
    assert network.counters["occupancy_pct"] == pytest.approx(60)
    assert network.own_s == pytest.approx(0.2)


def test_the_kernels_of_a_step_are_ordered_by_their_time(occupancy: Occupancy) -> None:
    convolution, copy = occupancy.steps[1].top
    assert (convolution.name, copy.name) == ("convolution", "copy")
    assert convolution.share == pytest.approx(0.75)
    assert convolution.launches_per_s == pytest.approx(950)
    assert convolution.mean_us == pytest.approx(0.75 * 100_000 / 190)
    assert convolution.theoretical_occupancy_pct == pytest.approx(25)
    assert copy.theoretical_occupancy_pct is None


def test_of_many_kernels_the_first_ten_are_told() -> None:
    found = traced(100)
    windows = found[NETWORK].windows
    object.__setattr__(windows[0], "names", [f"kernel {number}" for number in range(30)])
    object.__setattr__(windows[0], "num_launches", [1] * 30)
    object.__setattr__(windows[0], "total_ns", list(range(1, 31)))
    object.__setattr__(windows[0], "theoretical_occupancy_pct", [50.0] * 30)
    tables = make_tables([LOADER, NETWORK], [], found, epoch_offset_ns=START_NS)
    occupancy = occupancy_of(run_with(tables))
    assert occupancy
    assert [kernel.name for kernel in occupancy.steps[1].top][:2] == ["kernel 29", "kernel 28"]
    assert len(occupancy.steps[1].top) == NUM_TOP


def test_a_step_that_hardly_ran_alone_has_no_counters() -> None:
    found = traced(100, num_ms=60)
    tables = make_tables([LOADER, NETWORK], [samples(1000)], found, epoch_offset_ns=START_NS)
    occupancy = occupancy_of(run_with(tables))
    assert occupancy
    assert set(occupancy.steps[1].counters.values()) == {None}
    text = occupancy_text(occupancy, ["Loader", "Network"])
    assert "this step hardly ran alone" in text


def test_a_run_without_it_has_none_and_one_without_windows_says_so() -> None:
    assert occupancy_of(simulate(num_requests=10)) is None
    tables = make_tables([LOADER], [samples(1000)], {}, epoch_offset_ns=START_NS)
    occupancy = occupancy_of(run_with(tables))
    assert occupancy
    assert "no kernels were traced in the measured phase" in occupancy_text(occupancy, ["Loader"])


def test_text_and_json(occupancy: Occupancy) -> None:
    text = occupancy_text(occupancy, ["Loader", "Network"]).splitlines()
    assert text[0].split() == ["%", "of", "peak", "occupancy", "SM", "busy", "SM", "tensor", "DRAM"]
    assert text[1].split() == ["GPU", "0", "50.0", "60.0", "-", "25.0", "-"]
    assert text[3].split()[:7] == ["step", "1", "Network,", "GPU", "0", "60.0", "90.0"]
    assert any(line.endswith("  convolution") and line.startswith("75.0") for line in text)
    assert json.loads(json.dumps(occupancy.to_json()))["steps"][1]["top"][0]["name"] == "convolution"


def test_the_run_folder_keeps_it(tmp_path: Path) -> None:
    tables = make_tables([LOADER, NETWORK], [samples(1000)], traced(100, 600), epoch_offset_ns=START_NS)
    run = run_with(tables)
    write(run, tmp_path)
    assert occupancy_of(read(tmp_path)) == occupancy_of(run)


def test_the_trace_shows_it(tmp_path: Path) -> None:
    tables = make_tables([LOADER, NETWORK], [samples(1000)], traced(100, 600), epoch_offset_ns=START_NS)
    perfetto_trace.write(run_with(tables), tmp_path / "trace.json.gz")
    trace = Trace(tmp_path / "trace.json.gz")
    assert [value for _, value in trace.counter("occupancy", pid=5)[:3]] == [20, 60, 20]
    windows = trace.slices[110, 1_000_000]
    assert trace.names("thread_name")[110, 1_000_000] == "kernels"
    assert [(1000 * event["ts"], 1000 * event["dur"]) for event in windows] == [
        (100 * MS, 200 * MS),
        (600 * MS, 200 * MS),
    ]
    assert windows[0]["args"] == {
        "kernels": 200,
        "busy_percent": 50,
        "most_time": "75.000 ms convolution; 25.000 ms copy",
    }
