"""A real run with --trace and --occupancy, in which requests are held back, split and joined."""

from __future__ import annotations

from collections import Counter

from rnb.contract.events import DUE
from rnb.record.run_folder import read
from tests.support.running import Bench, tiny
from tests.support.trace_json import Trace


def test_a_run_with_segments_batches_and_held_requests(bench: Bench) -> None:
    config = [
        tiny("LoadInPlace", workers=2),
        {"model": "batcher.Batcher", "gpus": [0], "batch": 3, "num_segments": 2},
        tiny("Classify", gpus=[0, 1]),
        tiny("Join", aggregate=2),
    ]
    finished = bench.call(config, "-v", "60", "-mi", "0", "--warmup", "10", "--trace", "--occupancy")
    assert finished.folder is not None, finished.err
    assert "trace.json.gz: all 70 requests" in finished.out
    note = "no step of this run computes on a GPU; the run goes on without occupancy"
    assert f"--occupancy: {note}\n" in finished.err
    run, trace = read(finished.folder), Trace(finished.folder / "trace.json.gz")
    assert run.meta.notes == [note]
    assert not run.tables.keys() & {"occupancy", "kernels"}
    names = Counter((start["name"], end["name"]) for start, end in trace.arrows)
    assert names == {
        ("send", "step 0 LoadInPlace"): 70,
        ("step 0 LoadInPlace", "step 1 Batcher"): 70,
        ("step 1 Batcher", "step 2 Classify"): 140,
        ("step 2 Classify", "step 3 Join"): 140,
    }
    slices = [event for track in trace.slices.values() for event in track]
    batches = [event["args"]["requests"].split() for event in slices if event["name"] == "step 1 Batcher"]
    assert sorted(int(request) for batch in batches for request in batch) == list(range(70))
    assert max(map(len, batches)) == 3
    segment, *stages = trace.spans[1, "span", "12-1"]
    assert (segment["name"], segment["args"]) == ("segment", {"request": 12, "segment": 1})
    assert [stage["name"] for stage in stages] == [
        "wait for step 2",
        "gather for step 2",
        "step 2 Classify",
        "slot for step 2",
        "hand-off after step 2",
        "wait for step 3",
        "gather for step 3",
        "step 3 Join",
    ]
    request, *stages = trace.spans[1, "span", "12"]
    assert stages[-1]["name"] == "in segments"
    assert 1000 * (request["end"] - request["ts"]) == run.ends_ns[12] - run.times[DUE][12]
    assert trace.spans[1, "span", "9"][0]["name"] == "request (warm-up)"
