"""CUDA graphs of a call, one for each number of rows, which share their memory."""

from __future__ import annotations

import pytest
import torch

from models.graphs import Graphs

pytestmark = pytest.mark.gpu


def test_a_replay_computes_what_the_input_holds_now() -> None:
    device = torch.device("cuda", 0)
    rows, weights = torch.zeros(8, 16, device=device), torch.randn(16, 5, device=device)
    graphs = Graphs(device)
    assert graphs.sizes == frozenset()
    with torch.inference_mode():
        graphs.capture([1, 8, 3], lambda size: rows[:size] @ weights)
    assert graphs.sizes == {1, 3, 8}
    for size in (3, 8, 1):
        rows.normal_()
        torch.testing.assert_close(graphs.replay(size), rows[:size] @ weights)
        assert graphs.replay(size).shape == (size, 5)


def test_the_next_replay_overwrites_the_output() -> None:
    device = torch.device("cuda", 0)
    rows = torch.ones(2, 4, device=device)
    graphs = Graphs(device)
    with torch.inference_mode():
        graphs.capture([2], lambda size: rows[:size] * 2)
    first = graphs.replay(2)
    rows.fill_(5)
    graphs.replay(2)
    assert first.flatten().tolist() == [10.0] * 8
