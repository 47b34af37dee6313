"""Whole pipelines that do the same: divided, joined, and listed as choices."""

from __future__ import annotations

from typing import Any

import pytest

from rnb.contract.termination import UsageError
from rnb.pipeline.config import ConfigFile, read_config
from rnb.planner.forms import Form, forms_of
from rnb.planner.space import Limits, Space
from rnb.spec import Placement, RunSpec, plan_of
from tests.support.known_times import spec_of, step


def models_of(form: Form) -> list[str]:
    return [one["model"].rpartition(".")[2] for one in form.data["pipeline"]]


def parts_of(form: Form) -> list[tuple[int, int]]:
    steps = form.data["pipeline"]
    return [(one["start_index"], one["end_index"]) for one in steps if "start_index" in one]


def r2p1d(name: str) -> list[Form]:
    return forms_of(RunSpec(config=read_config(f"config/{name}.json"), placement=Placement(device="cpu")))


def test_a_network_is_cut_at_its_borders_and_becomes_one_step_with_its_loader() -> None:
    forms = r2p1d("r2p1d-whole")
    assert parts_of(forms[0]) == [(1, 5)]
    cuts = [parts_of(form) for form in forms if len(parts_of(form)) == 2]
    assert cuts == [[(1, border), (border + 1, 5)] for border in range(1, 5)]
    assert [models_of(form) for form in forms].count(["R2P1DSingleStep"]) == 1
    assert len(forms) == 6


def test_and_back() -> None:
    """From a network in three parts to all other cuts, and to one step."""
    forms = r2p1d("r2p1d-general")
    assert parts_of(forms[0]) == [(1, 2), (3, 4), (5, 5)]
    assert [(1, 5)] in [parts_of(form) for form in forms]
    (single,) = [form for form in forms if len(form.data["pipeline"]) == 1]
    assert single.data["pipeline"][0]["queue_groups"] == [{"gpus": [1]}]
    assert {len(parts_of(form)) for form in forms} == {0, 1, 2, 3, 4}
    assert len({str(form.data) for form in forms}) == len(forms)


def test_all_forms_can_run() -> None:
    spec = spec_of(step("Both", fixed_ms=2, change_ms=1), step("Change"))
    forms = forms_of(spec)
    assert [models_of(form) for form in forms] == [["Both", "Change"], ["Source", "ChangeOne", "Change"]]
    for form in forms:
        plan_of(
            RunSpec(config=ConfigFile(path="x", data=form.data), placement=spec.placement), num_requests=1
        )
    assert forms[1].data["pipeline"][1]["fixed_ms"] == 1


def test_pipelines_that_the_config_lists() -> None:
    """One with a queue for small and one for large requests, and a Batcher."""
    source, change = (step(name, replicas=1) for name in ("Source", "Change"))
    sorting: dict[str, Any] = {
        "model": source["model"],
        "queue_groups": [
            {"gpus": [-1], "out_queues": [0, 1], "queue_selector": "rnb.pipeline.selectors.ClipCountSelector"}
        ],
    }
    batching = {
        "model": "rnb.pipeline.batcher.Batcher",
        "queue_groups": [
            {"gpus": [-1], "in_queue": 0, "out_queues": [0], "batch": 3},
            {"gpus": [-1], "in_queue": 1, "out_queues": [0]},
        ],
    }
    spec = spec_of(source, change)
    data = {**spec.config.data, "choices": {"pipeline": [[sorting, batching, change]]}}
    space = Space(
        RunSpec(config=ConfigFile(path="x", data=data), placement=spec.placement), Limits(num_gpus=1, cores=1)
    )
    assert [models_of(one.form) for one in space.forms] == [
        ["Source", "Change"],
        ["Source", "Batcher", "Change"],
    ]
    plan = plan_of(space.spec_of(space.start_of(1)), num_requests=1)
    assert [len(one.out_queues) for one in plan.replicas] == [2, 1, 1, 0]
    assert space.changes(space.start_of(1)) == ["choice 0 of pipeline"]
    assert "  or choice 0 of pipeline: " in space.describe()[-1]
    plan_of(space.spec_of(space.start), num_requests=1)


def test_a_choice_that_is_no_pipeline_is_one_line() -> None:
    spec = spec_of(step("Source"))
    for choices, problem in (
        ({"pipeline": [[{"gpus": [0]}]]}, "model: missing"),
        ({"pipelines": []}, "choices"),
        ({"pipeline": 3}, "choices.pipeline"),
    ):
        data = {**spec.config.data, "choices": choices}
        with pytest.raises(UsageError, match=problem):
            forms_of(RunSpec(config=ConfigFile(path="x", data=data), placement=spec.placement))
