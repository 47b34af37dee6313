"""Whole pipelines of tiny steps: each request is served once and right, in every placement."""

from typing import Any

import numpy as np
import pytest

from rnb.contract.events import DUE
from rnb.load.arrivals import ArrivalProcess
from rnb.pipeline.selectors import ClipCountSelector
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, Bench, grouped, on, tiny
from tests.support.tiny_steps import clips_of, expected_label

NUM_VIDEOS = 203


LARGE_TO_THE_FIRST = grouped(
    on(
        "Size",
        {
            "gpus": [0],
            "out_queues": [0, 1],
            "queue_selector": "rnb.pipeline.selectors.ClipCountSelector",
        },
    ),
    on(
        "LoadInPlace",
        {"gpus": [0], "workers": 2, "in_queue": [1, 0], "out_queues": [0]},
        {"gpus": [1, 1], "in_queue": 0, "out_queues": [0]},
    ),
    on("Classify", {"gpus": [0, 1], "in_queue": 0}),
)
PLACEMENTS: dict[str, tuple[Any, list[str]]] = {
    "one of each": ([tiny("Load"), tiny("Classify")], []),
    "many replicas": (
        [tiny("LoadInPlace", gpus=[0, 1]), tiny("Pass", gpus=[0, 0, 1]), tiny("Classify", gpus=[1, 1])],
        [],
    ),
    "queues per GPU": ([tiny("LoadInPlace", gpus=[0, 1]), tiny("Classify", gpus=[1, 0])], ["-p"]),
    "workers": ([tiny("LoadInPlace", workers=3), tiny("Pass", workers=2), tiny("Classify", workers=2)], []),
    "batches": ([tiny("LoadInPlace", gpus=[0, 1]), tiny("Pass"), tiny("Classify")], ["-b", "4"]),
    "batches without waiting": ([tiny("Load"), tiny("Classify", gpus=[0, 1])], ["-b", "7", "-bt", "0"]),
    "batches by clips": (
        [tiny("LoadInPlace"), tiny("Pass", max_clips=30), tiny("Classify", gpus=[0, 1])],
        [],
    ),
    "segments": (
        [tiny("Load", num_segments=3), tiny("Classify", gpus=[0, 1]), tiny("Join", aggregate=3, gpus=[-1])],
        [],
    ),
    "segments in batches": (
        [tiny("Load", num_segments=3), tiny("Classify", gpus=[0, 1]), tiny("Join", aggregate=3)],
        ["-b", "5"],
    ),
    "small and large": (
        grouped(
            on(
                "LoadInPlace",
                {
                    "gpus": [0, 1],
                    "out_queues": [0, 1],
                    "queue_selector": "rnb.pipeline.selectors.ClipCountSelector",
                },
            ),
            {
                "model": "batcher.Batcher",
                "queue_groups": [
                    {"gpus": [0], "in_queue": 0, "out_queues": [0], "batch": 3},
                    {"gpus": [1], "in_queue": 1, "out_queues": [0]},
                ],
            },
            on("Classify", {"gpus": [0, 1], "in_queue": 0}),
        ),
        [],
    ),
    "large ones to the first replica alone": (LARGE_TO_THE_FIRST, []),
    "the same in batches": (LARGE_TO_THE_FIRST, ["-b", "3"]),
    "batcher before segments": (
        [
            tiny("Load"),
            {"model": "batcher.Batcher", "gpus": [0], "batch": 3, "num_segments": 2},
            tiny("Classify", gpus=[0, 1]),
            tiny("Join", aggregate=2),
        ],
        [],
    ),
    "least loaded": (
        grouped(
            on(
                "Load",
                {
                    "gpus": [0],
                    "out_queues": [0, 1],
                    "queue_selector": "rnb.pipeline.selectors.LeastLoadedSelector",
                },
            ),
            on("Classify", {"gpus": [0], "in_queue": 0}, {"gpus": [1], "in_queue": 1}),
        ),
        [],
    ),
    "a step written for snuspl/rnb": (
        [tiny("Load"), tiny("Classify"), {"model": "tests.support.legacy_step.Sum", "gpus": [0]}],
        [],
    ),
}


AT_INTERVALS = (
    "many replicas",
    "segments in batches",
    "small and large",
    "large ones to the first replica alone",
)
"""Also with requests that come one after the other, so that batches stay incomplete and queues empty."""


@pytest.mark.parametrize(
    ("placement", "mean_interval_ms"),
    [*((placement, "0") for placement in PLACEMENTS), *((placement, "1") for placement in AT_INTERVALS)],
)
def test_every_request_is_served_once_and_right(bench: Bench, placement: str, mean_interval_ms: str) -> None:
    config, flags = PLACEMENTS[placement]
    finished = bench.call(config, "-v", str(NUM_VIDEOS), "-mi", mean_interval_ms, *flags)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    requests = read(finished.folder).requests
    if config is LARGE_TO_THE_FIRST:
        large = requests["num_clips"] > ClipCountSelector.min_large_clips
        assert set(requests["replica1"][large].tolist()) == {0}
        assert {1, 2} & set(requests["replica1"][~large].tolist())
    assert requests["status"].tolist() == ["finished"] * NUM_VIDEOS
    assert requests["label"].tolist() == [expected_label(request) for request in range(NUM_VIDEOS)]
    assert requests["num_clips"].tolist() == [clips_of(request) for request in range(NUM_VIDEOS)]


def test_requests_arrive_as_the_seed_draws_and_their_events_are_in_order(bench: Bench) -> None:
    config = [tiny("LoadInPlace"), tiny("Pass"), tiny("Classify")]
    finished = bench.call(config, "-v", "100", "-mi", "2", "--seed", "3")
    assert finished.folder is not None
    run = read(finished.folder)
    expected_ns = ArrivalProcess(mean_interval_ms=2, seed=3).draw(100)
    assert (run.requests["arrival_ns"] == expected_ns).all()
    times = np.stack([run.times[event] for event in run.events], axis=1)
    assert run.events[0] == DUE
    assert (times[:, 0] - times[0, 0] == expected_ns - expected_ns[0]).all()
    assert (np.diff(times, axis=1) >= 0).all()


def test_as_many_requests_may_fail_as_allowed(bench: Bench) -> None:
    config = [tiny("Load", fail_every=10), tiny("Classify")]
    finished = bench.call(config, "-v", "100", "-mi", "0", "--max-failures", "10")
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    requests = read(finished.folder).requests
    failed = np.flatnonzero(requests["status"] == "failed")
    assert failed.tolist() == list(range(0, 100, 10))
    assert all("cannot be decoded" in requests["reason"][request] for request in failed)
