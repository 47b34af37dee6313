"""The figures of real runs: what is known of a pipeline shows in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rnb.analysis.utilization import SHARES
from tests.support.running import Bench, tiny


def summary_of(bench: Bench, config: Any, *flags: str) -> dict[str, Any]:
    run = bench.call(config, *flags)
    assert run.folder is not None, run.err
    summary: dict[str, Any] = json.loads((run.folder / "summary.json").read_text())
    return summary


@pytest.mark.parametrize("loader", ["Load", "LoadInPlace"])
def test_a_loader_waits_for_the_slots_of_a_slow_step(bench: Bench, loader: str) -> None:
    config = [tiny(loader, num_shared_tensors=2), tiny("Classify", busy_ms=10)]
    summary = summary_of(bench, config, "-v", "100", "-mi", "0")
    fast, slow = summary["utilizations"]
    assert fast["waiting_for_slot"] > 0.6
    assert slow["busy"] > 0.6
    assert slow["waiting_for_slot"] == 0
    assert summary["queue_depths"][0]["mean"] > 20  # they wait before the loader, not before the slow step
    assert summary["queue_depths"][1]["max"] <= 3


def test_shares_add_up_with_segments_and_batches(bench: Bench) -> None:
    config = [
        tiny("Load", num_segments=3),
        tiny("Classify", gpus=[0, 1], workers=2),
        tiny("Join", aggregate=3),
    ]
    summary = summary_of(bench, config, "-v", "300", "-mi", "8", "-b", "4", "--warmup", "50", "--slo", "9000")
    assert (summary["num_warmup"], summary["num_finished"] + summary["num_cut"]) == (50, 300)
    assert [(entry["step"], entry["replica"]) for entry in summary["utilizations"]] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    for entry in summary["utilizations"]:
        assert sum(entry[share] for share in SHARES) == pytest.approx(1)
        assert all(entry[share] >= 0 for share in SHARES)
        assert entry["busy"] > 0
    assert summary["goodput"]["share"] == 1
    assert abs(summary["littles_law"]["relative_deviation"]) < 0.5
    assert [depth["step"] for depth in summary["queue_depths"]] == [0, 1, 2]
    assert all(entry["mean_ms"] >= 0 for entry in summary["durations"])
    assert all(entry["count"] == summary["num_finished"] for entry in summary["durations"])
