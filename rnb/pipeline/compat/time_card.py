"""The time cards that steps of before are given: a request as they see it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from rnb.contract.request import OutputError, Request, Rows

_NOTED = "time_card"
"""The parameter of a request that keeps what steps have noted on its card."""


class CardId(int):
    """The number of a request. It knows the request, so a card made anew from the number does too."""

    request: Request

    def __new__(cls, request: Request) -> CardId:
        made = super().__new__(cls, request.id)
        made.request = request
        return made

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        """In a message it is a number."""
        return int, (int(self),)


class TimeCard:
    """A request on its way. Later steps and selectors find what a step notes on it as attributes of its own.

    `id`: the request; `sub_id`: which of its `num_segments` segments this is, 0 when it is whole; `num_rows`:
    its rows in each input tensor.
    """

    def __init__(self, request: Request, num_rows: Rows = ()) -> None:
        self.request = request
        self.id = CardId(request)
        self.sub_id = request.segment
        self.num_segments = request.num_segments
        self.num_rows = num_rows
        self.timings: OrderedDict[str, float] = OrderedDict()
        self.gpus: list[Any] = []
        self.num_parent_timings = 0
        self._own = frozenset(vars(self))
        vars(self).update((request.parameters or {}).get(_NOTED, {}))

    def to_request(self, payload: Any) -> Request:
        """The request with another payload, and with what was noted on the card."""
        noted = {name: value for name, value in vars(self).items() if name not in self._own | {"_own"}}
        request = self.request.with_payload(payload)
        return (
            request._replace(parameters={**(request.parameters or {}), _NOTED: noted}) if noted else request
        )

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


def cards_of(card: Any) -> list[Any]:
    """The single cards behind what a step was given or returned; none for None."""
    if card is None:
        return []
    return list(card) if isinstance(card, Sequence) else list(getattr(card, "time_cards", [card]))


def request_of(card: Any, payload: Any) -> Request:
    """The request of a card with another payload, and with what was noted on the card.

    Another's card, as a copy of snuspl/rnb's own rnb_logging makes one, is of a whole request.
    """
    if isinstance(card, TimeCard):
        return card.to_request(payload)
    number = getattr(card, "id", None)
    if not isinstance(number, CardId):
        raise OutputError(f"{card!r} is no time card that the step was given")
    return number.request.whole.with_payload(payload)
