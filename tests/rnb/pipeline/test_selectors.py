"""Selectors, and the mistakes in those that a config names."""

from __future__ import annotations

import pytest
import torch

from rnb.contract.request import Batch, Request
from rnb.pipeline.selectors import (
    ClipCountSelector,
    LeastLoadedSelector,
    RoundRobinSelector,
    Selector,
    check_selector,
    make_selector,
)
from tests.support.underway import batch_of, make_queue

ANY = Batch((Request(0),))


class ByPayload(Selector):
    """The queue that the payload says."""

    def select(self, batch: Batch) -> int:
        return int(batch.payloads[0]) % self.num_queues


class OnlyThree:
    def __init__(self, num_queues: int) -> None:
        assert num_queues == 3

    def select(self, batch: Batch) -> int:
        return 2


def test_round_robin_takes_each_in_turn() -> None:
    selector = RoundRobinSelector(3)
    assert [selector.select(ANY) for _ in range(5)] == [0, 1, 2, 0, 1]


def test_least_loaded_takes_the_shortest_queue() -> None:
    queues = [make_queue() for _ in range(3)]
    selector = LeastLoadedSelector(3, queues)
    for number in (0, 0, 1):
        queues[number].put("x")
    assert selector.select(ANY) == 2
    for _ in range(2):
        queues[2].put("x")
    assert selector.select(ANY) == 1


def test_clip_count_tells_small_from_large() -> None:
    selector = ClipCountSelector(2)
    chosen = [selector.select(batch_of({0: (clips,)}, torch.zeros(clips, 3))) for clips in (1, 7, 8, 15)]
    assert chosen == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="needs two output queues"):
        ClipCountSelector(3)


def test_clip_count_goes_by_what_a_step_tells_before_there_are_clips() -> None:
    selector = ClipCountSelector(2)
    assert [selector.select(ANY.give(sizes=[size])) for size in (1, 7, 8, 15)] == [0, 0, 1, 1]


def test_a_selector_is_made_by_its_path() -> None:
    select = make_selector(f"{__name__}.ByPayload", 3, ())
    assert [select(Batch((Request(0, payload),))) for payload in (4, 5)] == [1, 2]


def test_a_selector_that_names_the_queues_gets_them() -> None:
    queues = [make_queue(), make_queue()]
    queues[0].put("x")
    assert make_selector("rnb.pipeline.selectors.LeastLoadedSelector", 2, queues)(ANY) == 1


@pytest.mark.parametrize(
    ("path", "num_queues", "message"),
    [
        ("rnb.pipeline.selectors.Nope", 1, "has no 'Nope'"),
        ("rnb.pipeline.batcher.Batcher", 1, "is not a selector: it has no select"),
        (
            "rnb.pipeline.selectors.ClipCountSelector",
            3,
            "needs two output queues, one small and one large; not 3",
        ),
        (f"{__name__}.OnlyThree", 2, r"OnlyThree' cannot choose among 2 queues: AssertionError\("),
    ],
)
def test_a_class_that_cannot_choose(path: str, num_queues: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_selector(path, num_queues)


def test_checking_needs_no_queues() -> None:
    check_selector("rnb.pipeline.selectors.LeastLoadedSelector", 4)
    check_selector(f"{__name__}.OnlyThree", 3)
