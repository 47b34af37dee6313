"""The table of the nodes."""

from __future__ import annotations

from rnb.analysis.summary import summarize
from rnb.show.text.node_text import node_table
from rnb.show.text.summary_text import table
from tests.support.run_over_nodes import run_over, watch
from tests.support.timed_runs import quiet_cpus


def test_a_row_for_each_node() -> None:
    run = run_over(5, 7.4)
    watch(run, {node: quiet_cpus(run.end_ns) for node in (0, 1)})
    header, *rows = node_table(summarize(run).nodes).splitlines()
    assert header.split("  ")[-1].strip() == "others at most"
    assert [row.split() for row in rows] == [
        ["node", "0", "host0", "2", "13%", "25%", "0%"],
        ["node", "1", "host1", "5", "us", "1", "12%", "25%", "0%"],
        ["node", "2", "host2", "7", "us", "1", "12%"],
    ]


def test_a_replica_is_shown_with_its_node() -> None:
    lines = table(summarize(run_over(5))).splitlines()
    assert [line.split("  ")[0] for line in lines if ", node " in line] == [
        "step 0.0 Load, node 0",
        "step 1.0 Classify, node 0",
        "step 1.1 Classify, node 1",
    ]
