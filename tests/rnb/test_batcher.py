"""The batcher keeps copies, packs in order, and gives out what is left."""

from typing import Any, cast

import torch

from rnb.batcher import Batcher
from rnb.message import Part
from rnb.request_table import RequestTable
from rnb.time_card import TimeCard, TimeCardList

TABLE = RequestTable(num_requests=5, events=("scheduled",))


def card(request_id: int) -> TimeCard:
    return TimeCard(Part(request_id, 0, 1, (2,), None), TABLE)


def test_a_batch_keeps_what_the_slot_held_at_the_time() -> None:
    batcher, slot = Batcher(torch.device("cpu"), batch=3), torch.zeros(2, 1)
    output: Any = None
    for request_id in range(3):
        slot.fill_(request_id)  # the slot is reused from call to call
        output = batcher((slot,), f"v{request_id}", card(request_id))
    (rows,), values, cards = output
    assert rows.flatten().tolist() == [0, 0, 1, 1, 2, 2]
    assert values == ["v0", "v1", "v2"]
    assert [one.id for one in cast(TimeCardList, cards)] == [0, 1, 2]


def test_an_incomplete_batch_comes_out_on_flush() -> None:
    batcher = Batcher(torch.device("cpu"), batch=3)
    assert batcher((torch.ones(2, 1),), None, card(0)) == (None, None, None)
    output = batcher.flush()
    assert output is not None
    assert [one.id for one in output[2]] == [0]
    assert batcher.flush() is None


def test_a_batch_of_one_passes_through() -> None:
    tensor, one = torch.ones(2, 1), card(0)
    assert Batcher(torch.device("cpu"))((tensor,), "v", one) == ((tensor,), "v", one)
