"""Samples of several nodes in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnb.record.over_nodes import NODE, by_node, joined
from rnb.record.run_folder import read, write
from tests.support.simulated_runs import simulate

CPU, GPU = "cpu.percent", "gpu0.sm_percent"


def test_each_node_gets_back_what_it_had() -> None:
    known = np.array([1.0, np.nan, 3.0])
    parts = {
        0: {"time_ns": np.array([10, 20, 30]), CPU: known, "gpu0.power_w": np.full(3, np.nan), GPU: known},
        2: {"time_ns": np.array([12, 22]), CPU: known[:2], "process.agent.cpu_percent": known[:2]},
    }
    table = joined(parts)
    assert table[NODE].tolist() == [0, 0, 0, 2, 2]
    assert np.isnan(table[GPU][3:]).all()
    found = by_node(table)
    assert list(found) == [0, 2]
    assert found[2].keys() == parts[2].keys()
    for node, part in parts.items():
        for name, values in part.items():
            np.testing.assert_array_equal(found[node][name], values)


def test_a_table_of_one_machine_is_of_node_0() -> None:
    table = {"time_ns": np.array([1, 2]), "gpu0.sm_percent": np.full(2, np.nan)}
    assert by_node(table) == {0: table}
    assert by_node({}) == {}


def test_a_folder_keeps_the_nodes(tmp_path: Path) -> None:
    run = simulate(num_requests=50)
    run.tables["telemetry"] = joined(dict.fromkeys((0, 1), run.tables["telemetry"]))
    run.meta.nodes = [{"node": 0}, {"node": 1, "clock": {"bound_ns": 7}, "provenance": {"num_cpus": 4}}]
    write(run, tmp_path)
    again = read(tmp_path)
    np.testing.assert_array_equal(again.tables["telemetry"][NODE], run.tables["telemetry"][NODE])
    assert again.meta.nodes == run.meta.nodes
