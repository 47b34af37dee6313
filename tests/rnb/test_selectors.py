"""Selectors."""

import multiprocessing

import pytest
import torch

from rnb.queues import MessageQueue
from rnb.selectors import ClipCountSelector, LeastLoadedSelector, RoundRobinSelector


def test_round_robin_takes_each_in_turn() -> None:
    selector = RoundRobinSelector(3)
    assert [selector.select(None, None, None) for _ in range(5)] == [0, 1, 2, 0, 1]


def test_least_loaded_takes_the_shortest_queue() -> None:
    context = multiprocessing.get_context("spawn")
    queues = [MessageQueue("q", capacity=9, num_writers=1, context=context) for _ in range(3)]
    selector = LeastLoadedSelector(3, queues)
    for number in (0, 0, 1):
        queues[number].put("x")
    assert selector.select(None, None, None) == 2
    for _ in range(2):
        queues[2].put("x")
    assert selector.select(None, None, None) == 1


def test_clip_count_tells_small_from_large() -> None:
    selector = ClipCountSelector(2)
    chosen = [selector.select((torch.zeros(clips, 3),), None, None) for clips in (1, 7, 8, 15)]
    assert chosen == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="needs two output queues"):
        ClipCountSelector(3)
