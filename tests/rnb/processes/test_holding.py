"""What a step that makes messages of its own holds back, so that no request gets lost or made up."""

from __future__ import annotations

import pytest

from rnb.contract.request import Batch, OutputError, Request
from rnb.processes.holding import Holding


def batch_of(*request_ids: int) -> Batch:
    return Batch(tuple(map(Request, request_ids)))


def requests(*request_ids: int) -> tuple[Request, ...]:
    return tuple(map(Request, request_ids))


def segment(request_id: int, number: int) -> Request:
    return Request(request_id, None, number, 3)


def test_what_is_held_back_is_given_out_later() -> None:
    holding = Holding(joins=False)
    assert holding.outputs(None, requests(4)) == []
    assert holding.is_holding
    assert holding.outputs([], requests(5, 6)) == []
    assert holding.outputs(batch_of(4, 6), requests(7)) == [batch_of(4, 6)]
    assert holding.outputs([batch_of(7), batch_of(5)], ()) == [batch_of(7), batch_of(5)]
    assert not holding.is_holding
    holding.check_empty()


@pytest.mark.parametrize("request_id", [4, 9])
def test_a_request_that_it_does_not_have_is_refused(request_id: int) -> None:
    holding = Holding(joins=False)
    holding.outputs(batch_of(4), requests(4, 5))
    with pytest.raises(
        OutputError, match=f"^the step gave out request {request_id}, which it does not have$"
    ):
        holding.outputs(batch_of(request_id), ())


def test_a_request_given_out_twice_at_once_is_refused() -> None:
    with pytest.raises(OutputError, match="request 4, which it does not have"):
        Holding(joins=False).outputs([batch_of(4), batch_of(4)], requests(4))


def test_what_is_still_held_at_the_end_is_named() -> None:
    holding = Holding(joins=False)
    holding.outputs(batch_of(3), requests(*range(10)))
    with pytest.raises(OutputError, match=r"^at the end the step still holds 9 requests: 0, 1, 2, 4, 5$"):
        holding.check_empty()


def test_what_has_failed_elsewhere_may_be_held_at_the_end() -> None:
    holding = Holding(joins=True)
    holding.outputs(None, [segment(4, 0), segment(5, 2)])
    holding.check_empty({4, 5}.__contains__)
    with pytest.raises(OutputError, match="still holds 1 requests: 5"):
        holding.check_empty({4}.__contains__)


def test_segments_are_given_out_one_by_one_where_they_are_not_joined() -> None:
    holding = Holding(joins=False)
    holding.outputs(None, [segment(4, 0), segment(4, 2)])
    holding.outputs(Batch((segment(4, 2),)), ())
    assert holding.is_holding
    with pytest.raises(OutputError, match="request 4"):
        holding.outputs(Batch((segment(4, 1),)), ())
    holding.outputs(Batch((segment(4, 0),)), ())
    holding.check_empty()


def test_a_joined_request_stands_for_all_its_segments() -> None:
    holding = Holding(joins=True)
    for number in (2, 0):
        assert holding.outputs(None, [segment(4, number)]) == []
    assert holding.outputs(batch_of(4), [segment(4, 1)]) == [batch_of(4)]
    assert not holding.is_holding
    with pytest.raises(OutputError, match="request 4"):
        holding.outputs(batch_of(4), ())


def test_an_output_whose_rows_do_not_add_up_is_refused() -> None:
    with pytest.raises(OutputError, match="rows are given, but no tensor"):
        Holding(joins=False).outputs(Batch(requests(4), rows=((1,),)), requests(4))


def test_a_batch_of_no_requests_is_refused() -> None:
    holding = Holding(joins=False)
    with pytest.raises(OutputError, match=r"^the step gave a batch of no requests$"):
        holding.outputs(batch_of(), requests(4))
