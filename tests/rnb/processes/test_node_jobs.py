"""Requests that are tried again and replicas that are replaced on any node, in whole runs over three."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnb.cluster.launching import LocalLauncher
from rnb.record.run import Run
from rnb.spec import RunSpec
from tests.robustness.deaths import rows_of
from tests.support.mortal_steps import times_served
from tests.support.played import played, spec_for
from tests.support.tiny_steps import expected_label

NUM_REQUESTS = 90


def mortal(folder: Path, step: int, name: str, *gpus: str, **options: Any) -> dict[str, Any]:
    module = "mortal_steps" if name == "Say" else "mortal_tensor_steps"
    return {
        "model": f"tests.support.{module}.{name}",
        "gpus": list(gpus),
        "folder": str(folder),
        "step": step,
        **options,
    }


def faltering(folder: Path, how: str, requests: Sequence[int], *gpus: str, **options: Any) -> dict[str, Any]:
    (folder / "tries").mkdir()
    step = {"model": "tests.support.job_steps.Falter", "gpus": list(gpus), "how": how}
    return {**step, "requests": requests, "folder": str(folder / "tries"), **options}


def telling(*gpus: str, **options: Any) -> dict[str, Any]:
    return {"model": "tests.support.job_steps.Tell", "gpus": list(gpus), **options}


def run_over_three(spec: RunSpec, **limits: Any) -> Run:
    limited = dataclasses.replace(spec.limits, **limits)
    return played(dataclasses.replace(spec, limits=limited, num_nodes=3), cluster=LocalLauncher(3))


def spec_of(folder: Path, *steps: dict[str, Any], **load: Any) -> RunSpec:
    return spec_for(folder, steps, videos=NUM_REQUESTS, **load)


def events(run: Run, *names: str) -> list[dict[str, Any]]:
    return [row for row in rows_of(run.tables["events"]) if row["event"] in names]


def all_finished(run: Run) -> None:
    assert (run.meta.is_success, run.meta.message) == (True, "")
    assert run.requests["status"].tolist() == ["finished"] * NUM_REQUESTS


def assert_times_are_of_the_last_try(run: Run) -> None:
    """Each is there, and after that of the step before, to within what the clocks may be off."""
    times = np.stack([run.times[event] for event in run.events], axis=1)
    most_off = 2 * max(node["clock"]["bound_ns"] for node in run.meta.nodes[1:])
    assert (times > 0).all()
    assert (np.diff(times[:, 2:], axis=1) >= -most_off).all()
    again = {row["request_id"]: row["at_ns"] for row in events(run, "tried again")}
    for request_id, at_ns in again.items():
        assert times[request_id, 2] >= at_ns - most_off


def test_a_request_that_fails_on_a_node_is_tried_again(tmp_path: Path) -> None:
    """From the first step on, which is on other nodes."""
    flaky = faltering(tmp_path, "fail", (3, 17), "1:-1", "1:-1")
    run = run_over_three(spec_of(tmp_path, telling("1:-1", "2:-1"), flaky, telling("0:-1")), retries=2)
    all_finished(run)
    attempts = run.requests["attempts"].tolist()
    assert [one for one, number in enumerate(attempts) if number != 1] == [3, 17]
    for request_id in (3, 17):
        first, second = sorted((tmp_path / "tries").glob(f"{request_id}-*"))
        assert first.read_text() != second.read_text(), "by the other replica of that node"
        assert run.requests["reason"][request_id].startswith("node 1: step 1.")
    assert_times_are_of_the_last_try(run)


def test_one_that_keeps_failing_is_listed_with_every_reason(tmp_path: Path) -> None:
    flaky = faltering(tmp_path, "fail", (5,), "2:-1", times=99)
    run = run_over_three(spec_of(tmp_path, telling("1:-1"), flaky), retries=2, max_failures=1)
    assert run.meta.is_success, run.meta.message
    assert run.requests["status"].tolist().count("finished") == NUM_REQUESTS - 1
    told = "; ".join(f"node 2: step 1.0: try {number} failed" for number in range(3))
    assert (run.requests["reason"][5], run.requests["attempts"][5]) == (told, 3)


def test_replicas_that_die_on_any_node_are_replaced(tmp_path: Path) -> None:
    steps = [
        mortal(tmp_path, 0, "Load", "0:-1", "1:-1", dies_at=(7, 30), num_shared_tensors=2),
        mortal(tmp_path, 1, "Pass", "1:-1", "2:-1", dies_at=(20, 45), num_shared_tensors=2),
        mortal(tmp_path, 2, "Classify", "0:-1", "2:-1", dies_at=(11, 60)),
    ]
    run = run_over_three(spec_of(tmp_path, *steps), restart=3)
    all_finished(run)
    assert run.requests["label"].tolist() == [expected_label(one) for one in range(NUM_REQUESTS)]
    assert_served_as_often_as_told(run, tmp_path)
    died = events(run, "died")
    assert len(died) == 6
    of_node = {f"step {one['step']}.{one['replica']}": one["node"] for one in run.meta.replicas}
    for row in died:
        where = f"node {of_node[row['replica']]}: " if of_node[row["replica"]] else ""
        assert row["reason"] == f"{where}was killed by SIGKILL"
        assert row["replica"] in {one["replica"] for one in events(run, "replaced by")}
    for request_id in (7, 30, 20, 45, 11, 60):
        assert run.requests["attempts"][request_id] >= 2
        assert "was killed by SIGKILL" in run.requests["reason"][request_id]
    assert_times_are_of_the_last_try(run)
    heirs = {row["pid"] for row in events(run, "replaced by")}
    assert len(heirs & {one["pid"] for one in run.meta.replicas}) == len({row["replica"] for row in died})


def assert_served_as_often_as_told(run: Run, folder: Path) -> None:
    """By no step more often than there were tries, so it was never in two places."""
    for (_, request_id), count in times_served(folder).items():
        assert 1 <= count <= run.requests["attempts"][request_id]
    assert {one for _, one in times_served(folder)} == set(range(NUM_REQUESTS))


def test_so_are_those_that_send_no_tensors(tmp_path: Path) -> None:
    """And one that dies when all is done is no matter."""
    steps = [
        mortal(tmp_path, 0, "Say", "1:-1", "2:-1", dies_at=(7, 30, 50)),
        mortal(tmp_path, 1, "Say", "0:-1", "1:-1", dies_at=(20, 45)),
        mortal(tmp_path, 2, "Say", "2:-1", dies_at=(11, 60), dies_at_end=True),
    ]
    run = run_over_three(spec_of(tmp_path, *steps), restart=5)
    all_finished(run)
    assert run.results == {one: one for one in range(NUM_REQUESTS)}
    assert_served_as_often_as_told(run, tmp_path)
    assert len(events(run, "died")) == 8


def test_sequences_whose_state_died_with_a_replica_fail_from_there_on(tmp_path: Path) -> None:
    positions = "tests.support.sequence_steps.Positions"
    steps = [telling("0:-1"), {"model": positions, "gpus": ["1:-1", "2:-1"], "die_at": 23}]
    spec = spec_of(tmp_path, *steps, sequences=6, sequence_length=5, mean_interval_ms=3)
    run = run_over_three(spec, restart=1, max_failures=NUM_REQUESTS)
    assert run.meta.is_success, run.meta.message
    failed = np.flatnonzero(run.requests["status"] == "failed").tolist()
    assert 23 in failed
    assert all(run.requests["reason"][one].startswith("node ") for one in failed)
    assert set(failed) <= set(range(30)), "those that begin later go on with the new process"
    assert set(run.requests["replica1"][30:].tolist()) == {0, 1}
    for request_id in set(range(NUM_REQUESTS)) - set(failed):
        assert len(run.results[request_id]["seen"]) == request_id // 6 % 5 + 1


def test_more_deaths_than_are_allowed_end_the_run(tmp_path: Path) -> None:
    flaky = faltering(tmp_path, "exit", (9,), "2:-1", times=99)
    run = run_over_three(spec_of(tmp_path, telling("1:-1"), flaky), restart=1)
    assert run.meta.termination == "PROCESS_FAILED"
    assert run.meta.message.startswith("node 2 failed: step 1.0 (pid ")
    assert run.meta.message.endswith("ended with exit status 7")
    assert len(events(run, "died")) == 2


def test_a_replica_on_a_node_is_recycled(tmp_path: Path) -> None:
    steps = [telling("0:-1"), telling("1:-1", recycle_after=30), telling("2:-1")]
    run = run_over_three(spec_of(tmp_path, *steps, mean_interval_ms=20))
    all_finished(run)
    recycled = events(run, "recycled")
    assert len(recycled) in (1, 2, 3)
    assert {row["replica"] for row in recycled} == {"step 1.0"}
    assert run.requests["attempts"].tolist() == [1] * NUM_REQUESTS
