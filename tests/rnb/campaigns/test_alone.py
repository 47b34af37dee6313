"""A part of a run by itself: its spec is that of the whole with another pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns.alone import client_alone, step_alone
from rnb.contract.request import TensorSpec
from rnb.contract.termination import UsageError
from rnb.pipeline.plan import Plan
from rnb.spec import plan_of, schedule_of
from tests.support.played import spec_for
from tests.support.running import tiny


def plan(spec: Any) -> Plan:
    return plan_of(spec, num_requests=1)


def pipeline() -> list[dict[str, Any]]:
    return [tiny("Load"), tiny("Classify", busy_ms=2, gpus=[0, 0], workers=2), tiny("Pass")]


def test_the_client_has_a_step_that_does_nothing(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, pipeline(), seed=4)
    alone = client_alone(spec)
    assert plan(alone).step_names == ("Nothing",)
    assert (alone.load, alone.placement, alone.limits) == (spec.load, spec.placement, spec.limits)
    assert schedule_of(alone)[1].payloads == ["nothing"], "no videos are looked for"


def test_the_first_step_gets_what_it_does_in_the_pipeline(tmp_path: Path) -> None:
    alone = plan(step_alone(spec_for(tmp_path, pipeline()), 0))
    assert alone.step_names == ("Load",)
    assert [replica.inputs for replica in alone.replicas] == [()]


def test_a_step_behind_one_that_hands_requests_on_gets_the_videos(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [tiny("Size"), *pipeline()])
    alone = step_alone(spec, 1)
    assert plan(alone).step_names == ("Load",)
    assert schedule_of(alone)[1].payloads == schedule_of(spec)[1].payloads
    assert len(set(schedule_of(alone)[1].payloads)) == 3


def test_another_step_gets_made_up_input_of_its_layout(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, pipeline())
    alone = plan(step_alone(spec, 1))
    assert alone.step_names == ("Feed", "Classify")
    classify = [replica for replica in alone.replicas if replica.step == 1]
    assert [replica.inputs for replica in classify] == [(TensorSpec((11, 2)),)] * 2
    assert [(replica.workers, replica.options) for replica in classify] == [(2, {"busy_ms": 2})] * 2


def test_a_step_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--step 3: the pipeline has steps 0 to 2"):
        step_alone(spec_for(tmp_path, pipeline()), 3)
