"""Who made the tail, as it is printed."""

from __future__ import annotations

import re

import numpy as np

from rnb.analysis.tail import attribute_tail
from rnb.show.text.tail_text import tail_table
from tests.support.run_over_nodes import run_over
from tests.support.timed_runs import QUIET_MS, timed_run


def test_the_table() -> None:
    stages = {event: np.full(1000, duration_ms) for event, duration_ms in QUIET_MS.items()}
    stages["inference1_finish"] += np.linspace(0, 1e-3, 1000)
    stages["runner1_start"][-10:] += 60.0
    tail = attribute_tail(timed_run(stages))
    assert tail is not None
    lines = tail_table(tail, ["A", "B"], has_all_stages=True).splitlines()
    assert lines[0].startswith("Who made the tail: the slowest 1 % (10 requests, from 75.8")
    assert re.split("  +", lines[1].strip()) == [
        "median request ms",
        "slowest 1 % ms",
        "difference ms",
        "share",
    ]
    assert next(line for line in lines if line.startswith("wait for step 1")).split()[-4:] == [
        "2.000",
        "62.000",
        "60.000",
        "100.0%",
    ]
    assert lines[-2].startswith("end to end")
    assert lines[-2].endswith("100.0%")
    assert lines[-1] == "the slowest 1 % lie in 0.1 s at 9.9 s"
    assert any(line.startswith("step 1 B ") for line in lines)
    short = tail_table(tail, ["A", "B"]).splitlines()
    num_hidden = len(lines) - len(short) + 1
    assert short[-2] == f"{num_hidden} rows not shown that make less than 1% of the difference (--verbose)"
    assert [line.split("  ")[0] for line in short[2:-2]] == ["wait for step 1", "end to end"]


def test_slow_requests_that_are_spread() -> None:
    stages = {event: np.full(1000, duration_ms) for event, duration_ms in QUIET_MS.items()}
    stages["inference1_finish"][50::100] += 60.0
    tail = attribute_tail(timed_run(stages))
    assert tail is not None
    assert tail_table(tail).splitlines()[-1] == (
        "the slowest 1 % are spread over the run: most of them over 8.0 s"
    )


def test_the_node_of_the_slowest_is_named() -> None:
    run = run_over(5, 5)
    last = run.events[-1]
    is_slow = (run.requests["replica1"] == 2) & (np.arange(run.num_requests) % 90 == 2)
    run.times[last][is_slow] += 50_000_000
    tail = attribute_tail(run)
    assert tail is not None
    assert tail_table(tail).splitlines()[-1] == (
        "step 1 on node 2 had 100% of the slowest 1 %, and 33% of all"
    )
    run.meta.nodes = []
    alone = attribute_tail(run)
    assert alone is not None
    assert "node" not in tail_table(alone)
