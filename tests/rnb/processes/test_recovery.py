"""Requests that are tried again and replicas that are replaced, in whole runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rnb.pipeline.config import ConfigError
from rnb.record.run import Run
from rnb.record.run_folder import read
from rnb.spec import RunSpec, plan_of
from tests.robustness.deaths import rows_of
from tests.support.played import played, spec_for

NUM_REQUESTS = 40


def step(name: str, num_replicas: int = 1, **options: Any) -> dict[str, Any]:
    return {"model": f"tests.support.job_steps.{name}", "gpus": [0] * num_replicas, **options}


def spec_of(folder: Path, *steps: Mapping[str, Any], **limits: Any) -> RunSpec:
    spec = spec_for(folder, steps, videos=NUM_REQUESTS)
    return dataclasses.replace(spec, limits=dataclasses.replace(spec.limits, **limits))


def faltering(folder: Path, how: str, *requests: int, **options: Any) -> dict[str, Any]:
    tries = folder / "tries"
    tries.mkdir()
    return step("Falter", how=how, requests=requests, folder=str(tries), **options)


def events(run: Run, *names: str) -> list[dict[str, Any]]:
    return [row for row in rows_of(run.tables["events"]) if row["event"] in names]


def all_finished(run: Run) -> None:
    assert (run.meta.is_success, run.meta.message) == (True, "")
    assert run.requests["status"].tolist() == ["finished"] * NUM_REQUESTS
    assert sorted(run.results) == list(range(NUM_REQUESTS))


def pids_of_tries(folder: Path, request_id: int) -> list[int]:
    return [int(path.read_text()) for path in sorted((folder / "tries").glob(f"{request_id}-*"))]


@pytest.mark.parametrize("how", ["fail", "hand back what JSON does not know"])
def test_a_request_that_fails_is_tried_again_by_another_replica(tmp_path: Path, how: str) -> None:
    flaky = faltering(tmp_path, how, 3, 17, num_replicas=2)
    run = played(spec_of(tmp_path, step("Tell"), flaky, retries=2))
    all_finished(run)
    attempts = run.requests["attempts"].tolist()
    assert [one for one, number in enumerate(attempts) if number != 1] == [3, 17]
    for request_id in (3, 17):
        first, second = pids_of_tries(tmp_path, request_id)
        assert first != second
        assert run.results[request_id] == second
        assert run.requests["reason"][request_id].startswith("step 1.")
    again = events(run, "tried again")
    assert sorted((row["request_id"], row["attempt"]) for row in again) == [(3, 1), (17, 1)]
    assert run.meta.jobs is not None
    assert (run.meta.jobs.num_tries, run.meta.jobs.num_touched, run.meta.jobs.num_deaths) == (2, 2, 0)


def test_where_there_is_one_replica_it_tries_again_itself(tmp_path: Path) -> None:
    run = played(spec_of(tmp_path, faltering(tmp_path, "fail", 5), retries=1))
    all_finished(run)
    assert len(set(pids_of_tries(tmp_path, 5))) == 1


def test_one_that_keeps_failing_is_listed_with_every_reason(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    flaky = faltering(tmp_path, "fail", 5, times=99)
    run = played(spec_of(tmp_path, flaky, retries=2, max_failures=1), folder=folder)
    assert run.meta.is_success
    back = read(folder)
    for found in (run, back):
        assert Counter(found.requests["status"].tolist()) == {"finished": NUM_REQUESTS - 1, "failed": 1}
        told = "; ".join(f"step 0.0: try {number} failed" for number in range(3))
        assert found.requests["reason"][5] == told
        assert found.requests["attempts"][5] == 3
    assert back.meta.jobs == run.meta.jobs
    assert [row["event"] for row in events(back, "tried again", "gave up")] == [
        "tried again",
        "tried again",
        "gave up",
    ]


@pytest.mark.parametrize(("how", "reason"), [
    ("exit", "ended with exit status 7"),
    ("raise", "failed: ArithmeticError: try 0 of request 9"),
])  # fmt: skip
def test_a_replica_that_dies_is_replaced_and_its_requests_are_served(
    tmp_path: Path, how: str, reason: str
) -> None:
    run = played(spec_of(tmp_path, step("Tell"), faltering(tmp_path, how, 9), step("Tell"), restart=1))
    all_finished(run)
    first, second = pids_of_tries(tmp_path, 9)
    (died,) = events(run, "died")
    assert (died["replica"], died["pid"], died["reason"]) == ("step 1.0", first, reason)
    assert second in {row["pid"] for row in events(run, "replaced by")}
    assert f"step 1.0 (pid {first}) {reason}" in run.requests["reason"][9]
    assert run.requests["attempts"][9] == 2
    (replica,) = [one for one in run.meta.replicas if one["step"] == 1]
    assert replica["pid"] == second


def in_two_queues(step: dict[str, Any], *groups: dict[str, Any]) -> list[dict[str, Any]]:
    """A step that gives even requests to queue 0 and odd ones to queue 1, and this one, which reads them."""
    first = {
        "model": "tests.support.job_steps.Tell",
        "queue_groups": [
            {"gpus": [0], "out_queues": [0, 1], "queue_selector": "tests.support.job_steps.OddApart"}
        ],
    }
    return [first, {**{key: value for key, value in step.items() if key != "gpus"}, "queue_groups": groups}]


def test_a_reader_of_two_queues_that_dies_leaves_nothing_behind(tmp_path: Path) -> None:
    flaky = faltering(tmp_path, "exit", 3, 8, 9, 21, seconds=0.005)
    groups = {"gpus": [0], "in_queue": [1, 0]}, {"gpus": [0], "in_queue": 0}
    run = played(spec_of(tmp_path, *in_two_queues(flaky, *groups), restart=9))
    all_finished(run)
    assert {row["replica"] for row in events(run, "died")} >= {"step 1.0"}
    assert set(run.requests["replica1"][1::2].tolist()) == {0}, "what is in queue 1"
    for request_id in (3, 8, 9, 21):
        assert len(pids_of_tries(tmp_path, request_id)) >= 2


def test_of_two_readers_of_two_queues_the_other_one_tries_again(tmp_path: Path) -> None:
    flaky = faltering(tmp_path, "fail", 4, 9)
    run = played(spec_of(tmp_path, *in_two_queues(flaky, {"gpus": [0, 0], "in_queue": [1, 0]}), retries=2))
    all_finished(run)
    for request_id in (4, 9):
        assert len(set(pids_of_tries(tmp_path, request_id))) == 2


def test_more_deaths_than_are_allowed_end_the_run(tmp_path: Path) -> None:
    run = played(spec_of(tmp_path, faltering(tmp_path, "exit", 9, times=99), restart=2))
    assert not run.meta.is_success
    assert run.meta.termination == "PROCESS_FAILED"
    assert run.meta.message.endswith("ended with exit status 7")
    assert len(pids_of_tries(tmp_path, 9)) == 3
    assert len(events(run, "died")) == 3


def test_a_request_that_kills_each_replica_is_given_up(tmp_path: Path) -> None:
    flaky = faltering(tmp_path, "raise", 9, times=99)
    run = played(spec_of(tmp_path, flaky, restart=5, retries=1, max_failures=1))
    assert run.meta.is_success, run.meta.message
    assert Counter(run.requests["status"].tolist()) == {"finished": NUM_REQUESTS - 1, "failed": 1}
    assert run.requests["reason"][9].count("ArithmeticError") == 2
    assert len(events(run, "died")) == 2


def test_by_default_a_failure_is_final_and_the_first_death_the_end(tmp_path: Path) -> None:
    failed = played(spec_of(tmp_path, faltering(tmp_path, "fail", 9), max_failures=1))
    assert failed.requests["status"][9] == "failed"
    assert "attempts" not in failed.requests
    assert failed.meta.jobs is None
    assert "events" not in failed.tables


def test_a_request_that_fails_is_not_tried_again_for_restart_alone(tmp_path: Path) -> None:
    run = played(spec_of(tmp_path, faltering(tmp_path, "fail", 9), restart=1, max_failures=1))
    assert run.requests["status"][9] == "failed"
    assert run.requests["reason"][9] == "step 0.0: try 0 failed"
    assert run.requests["attempts"].tolist() == [1] * NUM_REQUESTS


def test_a_replica_is_recycled_between_two_requests(tmp_path: Path) -> None:
    run = played(spec_of(tmp_path, step("Tell"), step("Tell", seconds=0.05, recycle_after=12), step("Tell")))
    all_finished(run)
    assert run.requests["attempts"].tolist() == [1] * NUM_REQUESTS
    recycled = events(run, "recycled")
    assert len(recycled) in (2, 3)  # a request or two are served until it may end
    assert {row["replica"] for row in recycled} == {"step 1.0"}
    assert run.meta.jobs is not None
    assert (run.meta.jobs.num_deaths, run.meta.jobs.num_recycled) == (0, len(recycled))


def test_replicas_of_a_step_are_recycled_one_after_the_other(tmp_path: Path) -> None:
    run = played(spec_of(tmp_path, step("Tell", 2, seconds=0.05, recycle_after=6)))
    all_finished(run)
    away = Counter[str]()
    for row in events(run, "recycled", "started"):
        if row["event"] == "recycled":
            away[row["replica"]] += 1
        elif away[row["replica"]]:
            away[row["replica"]] -= 1
        assert sum(away.values()) <= 1
    assert len({row["replica"] for row in events(run, "recycled")}) == 2
    assert len(set(run.results.values())) >= 4


def refused(spec: RunSpec) -> str:
    with pytest.raises(ConfigError) as caught:
        plan_of(spec, num_requests=9)
    return str(caught.value)


def test_segments_cannot_be_tried_again(tmp_path: Path) -> None:
    steps: Sequence[dict[str, Any]] = [
        {"model": "tests.support.tiny_steps.Load", "gpus": [0], "num_segments": 2},
        {"model": "tests.support.tiny_steps.Classify", "gpus": [0]},
        {"model": "tests.support.tiny_steps.Join", "gpus": [0], "aggregate": 2},
    ]
    plan_of(spec_of(tmp_path, *steps), num_requests=9)
    for limits in ({"retries": 1}, {"restart": 1}):
        assert refused(spec_of(tmp_path, *steps, **limits)).startswith("num_segments: a request in segments")
