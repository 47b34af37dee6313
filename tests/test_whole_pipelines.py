"""The benchmark of whole pipelines: what it plays as the loader alone, and whose latencies it tells apart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.whole_pipelines import CONSUME, decode_only, medians, p99_by_decoder
from rnb.pipeline.config import read_config
from rnb.pipeline.plan import PlanOptions, make_plan
from tests.support.running import ROOT


@pytest.mark.parametrize(
    ("name", "num_before"), [("fast", 0), ("fast-tail", 1), ("large", 1), ("fast-4gpu", 0)]
)
def test_the_loader_alone_is_all_up_to_it(name: str, num_before: int, tmp_path: Path) -> None:
    config = ROOT / "config" / f"r2p1d-{name}.json"
    whole, alone = (
        make_plan(read_config(path).pipeline(), PlanOptions(mode="cuda"))
        for path in (config, decode_only(config, tmp_path))
    )
    kept = [one for one in whole.replicas if one.step <= num_before]
    assert [(one.device, one.workers, one.in_queues) for one in kept] == [
        (one.device, one.workers, one.in_queues) for one in alone.replicas[: len(kept)]
    ]
    others = alone.replicas[len(kept) :]
    assert {(one.step, one.model) for one in others} == {(num_before + 1, CONSUME)}
    written = {queue for one in kept if one.step == num_before for queue in one.out_queues}
    assert {queue for one in others for queue in one.in_queues} == written


def test_latencies_by_size_and_decoder() -> None:
    run: Any = SimpleNamespace(
        meta=SimpleNamespace(
            replicas=[
                {"step": 0, "device": "cpu"},
                {"step": 1, "device": "cuda:0"},
                {"step": 1, "device": "cpu"},
            ]
        ),
        requests={"num_clips": np.array([1, 1, 15, 1, 1]), "replica1": np.array([0, 1, 0, 1, 1])},
        finished=np.array([True, True, True, True, False]),
        latency_ms=np.array([10.0, 20.0, 30.0, 40.0, np.nan]),
    )
    found = p99_by_decoder(run, 1)
    assert found == {
        "p99 ms, 1 clips, on the GPU": 10.0,
        "p99 ms, 1 clips, on the CPU": pytest.approx(39.8),
        "p99 ms, 15 clips, on the GPU": 30.0,
    }
    assert medians([{"p50": 1.0}, {"p50": 2.0, "p99": 9.0}, {"p50": 4.0}]) == {"p50": 2.0, "p99": 9.0}
