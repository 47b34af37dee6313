"""Options of a step: typed, nested, and composed by inheritance."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from rnb.contract.options import Count, Options


class Resize(BaseModel):
    width: Count
    height: Count = 112


class Decoding(Options):
    seed: int = 0
    resize: Resize = Resize(width=112)


class Sampling(Decoding):
    model_depth: Count = 18


def test_options_are_composed_and_nested() -> None:
    options = Sampling.model_validate({"resize": {"width": 8}, "seed": 4})
    assert (options.resize.width, options.resize.height) == (8, 112)
    assert (options.seed, options.model_depth) == (4, 18)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"sed": 1}, "extra_forbidden"),
        ({"resize": {}}, "missing"),
        ({"resize": {"width": 0}}, "greater_than_equal"),
        ({"model_depth": True}, "int_type"),
        ({"model_depth": "18"}, "int_type"),
        ({"model_depth": 18.0}, "int_type"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, object], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sampling.model_validate(given)
    assert [problem["type"] for problem in caught.value.errors()] == [kind]


def test_options_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sampling().seed = 1
