"""What a request says of its sequence."""

from __future__ import annotations

import pytest

from rnb.contract.request import Request
from rnb.contract.sequence import SequencePoint, point_of


@pytest.mark.parametrize(
    "point",
    [SequencePoint(3, is_start=True, position=0), SequencePoint("camera 7", is_end=True), SequencePoint(0)],
)
def test_parameters_say_where_a_request_stands(point: SequencePoint) -> None:
    assert point_of(Request(1, parameters=point.parameters)) == point


def test_the_names_are_those_of_the_open_inference_protocol() -> None:
    told = {"sequence_id": 5, "sequence_start": True, "sequence_end": False}
    assert SequencePoint(5, is_start=True).parameters == told
    assert point_of(Request(1, parameters={"sequence_id": 5})) == SequencePoint(5)


@pytest.mark.parametrize("parameters", [None, {}, {"sequence_start": True}, {"sequence_id": None}])
def test_a_request_may_belong_to_none(parameters: dict[str, object] | None) -> None:
    assert point_of(Request(1, parameters=parameters)) is None
