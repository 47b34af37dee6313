"""A request as a step sees it: its id, its share of the tensors, and its timestamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rnb.message import Part
from rnb.request_table import RequestTable


class TimeCard:
    """One request on its way through a step; `record` writes a timestamp into the run's request table.

    `id`: the request; `sub_id`: which of its `num_segments` segments this is, 0 when it is whole;
    `num_rows`: its rows in each input tensor.
    """

    def __init__(self, part: Part, table: RequestTable) -> None:
        self.id = part.request_id
        self.sub_id = part.segment
        self.num_segments = part.num_segments
        self.num_rows = part.num_rows
        self.value = part.value
        self._table = table

    def record(self, event: str, time_ns: int | None = None) -> None:
        """Note that `event` happened, now unless told. Raises KeyError for an event the run does not have."""
        self._table.record(self.id, self._name(event), time_ns)

    def record_taken(self, event: str, time_ns: int, *, replica: int, worker: int) -> None:
        """Note when, and by whom, the request was taken from a queue."""
        self._table.take(self.id, self._name(event), time_ns, replica=replica, worker=worker)

    def _name(self, event: str) -> str:
        return f"{event}-{self.sub_id}" if self.num_segments > 1 else event

    @staticmethod
    def merge(cards: Sequence[TimeCard]) -> TimeCard:
        """The card of the whole request, from those of all its segments."""
        first = cards[0]
        return TimeCard(Part(first.id, 0, 1, first.num_rows, first.value), first._table)


class TimeCardList:
    """The cards of the requests in one batch, in the order of their rows."""

    def __init__(self, time_cards: Sequence[TimeCard]) -> None:
        self.time_cards = list(time_cards)

    def record(self, event: str, time_ns: int | None = None) -> None:
        for card in self.time_cards:
            card.record(event, time_ns)

    def __iter__(self) -> Iterator[TimeCard]:
        return iter(self.time_cards)

    def __len__(self) -> int:
        return len(self.time_cards)


def cards_of(card: Any) -> list[TimeCard]:
    """The single cards behind what a step was given or returned; none for None."""
    if card is None:
        return []
    return [card] if isinstance(card, TimeCard) else list(card)
