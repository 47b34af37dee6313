"""The time cards that steps of before are given: a request as they see it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from rnb.contract.request import Request, Rows


class TimeCard:
    """One request on its way through a step. A step may keep attributes of its own on it.

    `id`: the request; `sub_id`: which of its `num_segments` segments this is, 0 when it is whole; `num_rows`:
    its rows in each input tensor.
    """

    def __init__(self, request: Request, num_rows: Rows = ()) -> None:
        self.request = request
        self.id = request.id
        self.sub_id = request.segment
        self.num_segments = request.num_segments
        self.num_rows = num_rows
        self.timings: OrderedDict[str, float] = OrderedDict()
        self.gpus: list[Any] = []

    def record(self, event: str, time_ns: int | None = None) -> None:
        """RnB records the events of a run by itself, so a step's own are not kept."""

    def add_gpu(self, gpu: int) -> None:
        self.gpus.append((gpu,))

    @staticmethod
    def merge(cards: Sequence[TimeCard]) -> TimeCard:
        """The card of the whole request, from those of all its segments."""
        return TimeCard(cards[0].request.whole, cards[0].num_rows)


class TimeCardList:
    """The cards of the requests in one batch, in the order of their rows."""

    def __init__(self, time_cards: Sequence[TimeCard]) -> None:
        self.time_cards = list(time_cards)

    def record(self, event: str, time_ns: int | None = None) -> None:
        """As of a single card."""

    def add_gpu(self, gpu: int) -> None:
        for card in self.time_cards:
            card.add_gpu(gpu)

    def __iter__(self) -> Iterator[TimeCard]:
        return iter(self.time_cards)

    def __len__(self) -> int:
        return len(self.time_cards)


def cards_of(card: Any) -> list[TimeCard]:
    """The single cards behind what a step was given or returned; none for None."""
    if card is None:
        return []
    return [card] if isinstance(card, TimeCard) else list(card)
