"""Made-up input for a step that runs alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rnb.contract import Batch, Context, Request, TensorSpec
from rnb.pipeline.config import ConfigError, QueueGroup, StepConfig
from rnb.pipeline.feed import Feed
from rnb.pipeline.step_type import resolve

OPTIONS = {"shapes": [[3, 2, 4], [6, 4]], "dtypes": ["uint8", "int32"]}


def feed(**options: Any) -> Feed:
    return Feed(Feed.Options.model_validate({**OPTIONS, **options}), Context())


def batch(request_id: int = 0) -> Batch:
    return Batch((Request(request_id),))


def test_each_request_gets_all_rows_of_all_tensors() -> None:
    step = feed()
    assert Feed.output(step.options, ()) == (TensorSpec((3, 2, 4), "uint8"), TensorSpec((6, 4), "int32"))
    output = step(batch())
    assert output.rows == ((3, 6),)
    assert [(tensor.shape, tensor.dtype) for tensor in output.tensors] == [
        ((3, 2, 4), torch.uint8),
        ((6, 4), torch.int32),
    ]


def test_the_seed_draws_them() -> None:
    first, again, other = (feed(seed=seed)(batch()).tensors[0] for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


def test_a_slot_is_filled_once() -> None:
    step = feed()
    slot = (torch.zeros(3, 2, 4, dtype=torch.uint8), torch.zeros(6, 4, dtype=torch.int32))
    output = step(batch(), out=slot)
    assert [one.data_ptr() for one in output.tensors] == [one.data_ptr() for one in slot]
    assert slot[0].equal(step(batch()).tensors[0])
    slot[0].zero_()
    step(batch(1), out=slot)
    assert not slot[0].any(), "it is not written again"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"dtypes": ["uint8"]}, "shapes and dtypes"), ({"dtypes": ["uint8", "complex"]}, "dtype 'complex'")],
)
def test_what_does_not_fit_is_a_line(options: dict[str, Any], message: str) -> None:
    group = QueueGroup(gpus=[-1])
    step = StepConfig.model_validate(
        {"model": "rnb.pipeline.feed.Feed", "queue_groups": [group], **OPTIONS, **options}
    )
    kind = resolve("rnb.pipeline.feed.Feed")
    with pytest.raises(ConfigError, match=message):
        kind.output(0, 0, kind.options(0, 0, step, group, {}), ())
