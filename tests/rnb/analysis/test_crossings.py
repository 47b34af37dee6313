"""How well the time between two nodes is known."""

from __future__ import annotations

import pytest

from rnb.analysis.crossings import crossed_stages
from rnb.analysis.reasons import Reason
from rnb.analysis.verdict import judge
from rnb.contract.events import Event, EventKind, Stage, StageKind
from tests.support.run_over_nodes import run_over


def test_only_what_crosses_is_told() -> None:
    (crossed,) = crossed_stages(run_over(7, 9))
    assert crossed.stage == Stage(StageKind.WAIT, 1)
    assert crossed.num_requests == 666
    assert crossed.median_ns == pytest.approx(300_000, abs=1)
    assert crossed.bound_ns == 9000
    assert crossed.share == pytest.approx(0.03, rel=1e-3)


def test_one_node_has_nothing_to_tell() -> None:
    run = run_over()
    run.meta.nodes = []
    assert crossed_stages(run) == []


def test_a_request_that_never_left_does_not_count() -> None:
    run = run_over(5)
    run.times[Event(EventKind.TAKEN, 1)][1] = 0
    assert crossed_stages(run)[0].num_requests == 499


def test_clocks_that_are_further_off_than_a_tenth_make_it_invalid() -> None:
    assert Reason.CLOCKS_APART not in [finding.reason for finding in judge(run_over(29)).findings]
    verdict = judge(run_over(31))
    (finding,) = [one for one in verdict.findings if one.reason is Reason.CLOCKS_APART]
    assert "wait for step 1 took 300 us (p50) between nodes, whose clocks are known to 31 us" in finding.seen
    assert any("wait for step 1 31 us" in note for note in verdict.notes)
