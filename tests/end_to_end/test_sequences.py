"""Sequences through whole pipelines: each meets one replica, in order, and its state is its own."""

from __future__ import annotations

import json
import re

import pytest

from rnb.load.sequences import Sequences
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, Bench, tiny

STATEFUL = "tests.support.sequence_steps.Positions"
NUM_VIDEOS, AT_ONCE, LENGTH = 150, 8, 9


@pytest.mark.parametrize("batch", ["1", "6"])
def test_a_state_sees_all_of_its_sequence_in_order(bench: Bench, batch: str) -> None:
    config = [tiny("LoadInPlace", gpus=[0, 1]), {"model": STATEFUL, "gpus": [0, 0, 1]}]
    flags = ["--sequences", str(AT_ONCE), "--sequence-length", str(LENGTH), "-b", batch]
    finished = bench.call(config, "-v", str(NUM_VIDEOS), "-mi", "0", *flags)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    run = read(finished.folder)
    sequences = Sequences(num_at_once=AT_ONCE, length=LENGTH, num_requests=NUM_VIDEOS)
    assert run.requests["sequence"].tolist() == sequences.ids.tolist()
    for request_id in range(NUM_VIDEOS):
        point = sequences.point_of(request_id)
        assert point.position is not None
        result = run.results[request_id]
        assert (result["sequence"], result["seen"]) == (point.id, list(range(point.position + 1)))
    most = max(result["in call"] for result in run.results.values())
    assert most == 1 if batch == "1" else 1 < most <= int(batch)
    replicas = {run.requests["replica1"][sequences.ids == number].tolist()[0] for number in range(AT_ONCE)}
    assert replicas == {0, 1, 2}
    num_sequences = len(set(sequences.ids.tolist()))
    assert f"sequences: {num_sequences} whole, 0 broken; from the first due to the last done" in finished.out
    summary = json.loads((finished.folder / "summary.json").read_text())
    assert summary["sequences"]["num_whole"] == num_sequences


def test_a_sequence_whose_start_failed_fails_with_the_reason_and_others_go_on(bench: Bench) -> None:
    config = [tiny("Load", fail_every=10_000), {"model": STATEFUL, "gpus": [0], "fail_position": 2}]
    flags = ["--sequences", "2", "--sequence-length", "4", "--max-failures", "100"]
    finished = bench.call(config, "-v", "16", "-mi", "0", *flags)
    assert finished.folder is not None
    requests = read(finished.folder).requests
    reasons = dict(enumerate(requests["reason"].tolist()))
    assert reasons.pop(0).endswith("cannot be decoded")  # of sequence 0, as are 2, 4 and 6
    assert [reasons.pop(later) for later in (2, 4, 6)] == ["sequence 0: its start never came"] * 3
    assert {number for number, reason in reasons.items() if reason} == {5, 12, 13}
    assert {reason for reason in reasons.values() if reason} == {"this position fails"}
    assert "sequences: 0 whole, 4 broken" in finished.out


def test_a_stateful_step_needs_sequences(bench: Bench) -> None:
    finished = bench.call([{"model": STATEFUL, "gpus": [0]}], "-v", "4")
    assert (finished.status, finished.out) == (2, "")
    assert finished.err == (
        "benchmark.py: error: Positions keeps a state for each sequence: say --sequences N or --streams N\n"
    )


def test_the_sequences_of_a_replica_that_dies_end_and_the_next_ones_go_on(
    bench: Bench,
) -> None:
    config = [{"model": STATEFUL, "gpus": [0, 0], "die_at": 21}]
    flags = ["--sequences", "4", "--sequence-length", "10", "--restart", "1", "--max-failures", "100"]
    finished = bench.call(config, "-v", "80", "-mi", "2", *flags)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    requests = read(finished.folder).requests
    reasons = {number: reason for number, reason in enumerate(requests["reason"].tolist()) if reason}
    assert re.fullmatch(r"step 0\.1 \(pid \d+\) ended with exit status 7", reasons.pop(21))
    rest_of_both = {*range(25, 40, 4), *range(23, 40, 4)}
    gone = "its start never came, or its state went with a replica that died"
    assert reasons == {number: f"step 0.1: sequence {number % 4}: {gone}" for number in rest_of_both}
    assert requests["status"].tolist().count("finished") == 80 - 10
    assert "sequences: 6 whole, 2 broken" in finished.out


def test_a_request_of_a_sequence_is_not_tried_again(bench: Bench) -> None:
    config = [{"model": STATEFUL, "gpus": [0]}]
    finished = bench.call(config, "-v", "4", "--sequences", "2", "--retries", "1")
    assert finished.status == 2
    assert "--retries: a request of a sequence that is tried again would come out of order" in finished.err
    finished = bench.call([{**config[0], "recycle_after": 2}], "-v", "4", "--sequences", "2")
    assert finished.status == 2
    assert "pipeline[0].recycle_after: the states of its sequences would go with the process" in finished.err
