"""The time cards that steps of before are given."""

from __future__ import annotations

from rnb.contract.request import Request
from rnb.pipeline.compat.time_card import TimeCard, TimeCardList, cards_of


def test_a_card_tells_its_request_and_rows() -> None:
    card = TimeCard(Request(7, "a.mp4", 1, 3), (2, 5))
    assert (card.id, card.sub_id, card.num_segments, card.num_rows) == (7, 1, 3, (2, 5))


def test_a_step_may_do_with_it_what_snuspl_rnb_let_it() -> None:
    card = TimeCard(Request(7))
    card.record("my_event")
    card.record("my_event", 5)
    card.add_gpu(2)
    assert card.gpus == [(2,)]
    card.anything = 3  # type: ignore[attr-defined]
    assert vars(card)["anything"] == 3
    assert not card.timings


def test_segments_merge_into_the_whole_request() -> None:
    cards = [TimeCard(Request(7, segment, segment, 2, {"key": 1}), (segment,)) for segment in range(2)]
    merged = TimeCard.merge(cards)
    assert (merged.id, merged.sub_id, merged.num_segments, merged.num_rows) == (7, 0, 1, (0,))
    assert merged.request.parameters == {"key": 1}


def test_a_list_of_cards_has_their_order() -> None:
    cards = [TimeCard(Request(number)) for number in (4, 2)]
    several = TimeCardList(cards)
    several.record("my_event")
    several.add_gpu(1)
    assert list(several) == cards == several.time_cards
    assert len(several) == 2
    assert [card.gpus for card in cards] == [[(1,)], [(1,)]]


def test_the_cards_behind_what_a_step_returns() -> None:
    card = TimeCard(Request(0))
    assert cards_of(None) == []
    assert cards_of(card) == cards_of(TimeCardList([card])) == cards_of([card]) == [card]
