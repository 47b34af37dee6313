"""What each node of a run over several did."""

from __future__ import annotations

import pytest

from rnb.analysis.summary import summarize
from rnb.analysis.utilization import mean_shares
from tests.support.run_over_nodes import run_over


def test_what_each_node_did() -> None:
    run = run_over(5, 7)
    summary = summarize(run)
    assert [node.clock_bound_ns for node in summary.nodes] == [None, 5000, 7000]
    assert [node.num_replicas for node in summary.nodes] == [2, 1, 1]
    assert [use.node for use in summary.utilizations] == [0, 0, 1, 2]
    first, second, *_ = summary.nodes
    assert first.busy == pytest.approx(mean_shares(summary.utilizations[:2])["busy"])
    assert second.busy == pytest.approx(0.35 / 3, rel=0.05)
    assert second.cpus == pytest.approx(0.25)
    run.meta.nodes = []
    assert summarize(run).nodes == []
    assert {use.node for use in summarize(run).utilizations} == {None}
