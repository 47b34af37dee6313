"""Pictures to logits: eager, and with graphs that several threads share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from models.images.classification import Classification
from models.images.options import ClassifierOptions
from rnb.contract import TensorSpec

PICTURES = TensorSpec((4, 3, 32, 32), "uint8")


def make(device: str = "cpu", **options: Any) -> Any:
    made = ClassifierOptions.model_validate({"num_classes": 7, **options})
    return Classification(made, PICTURES, torch.device(device))


def drawn(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_on_the_cpu_there_are_no_graphs() -> None:
    plain, asked = make(), make(cuda_graphs=True)
    asked.warm_up([1, 2, 3, 4])
    assert not asked._graphs.sizes
    assert torch.equal(asked(drawn(3)), plain(drawn(3)))


def test_threads_that_share_graphs_warm_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: what would be captured there is only noted."""
    one = make()
    captured: list[int] = []
    monkeypatch.setattr(one, "_uses_graphs", True)

    def capture(sizes: list[int], call: Any) -> None:
        captured.extend(sizes)
        one._graphs._graphs.update(dict.fromkeys(sizes))
        assert call(2).shape == (2, 7)

    monkeypatch.setattr(one._graphs, "capture", capture)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(one.warm_up, [[1, 2]] * 2))
    assert captured == [1, 2]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_graphs_give_what_eager_calls_give(precision: str) -> None:
    eager, graphs = make("cuda:0", precision=precision), make("cuda:0", precision=precision, cuda_graphs=True)
    for one in (eager, graphs):
        one.warm_up([1, 2, 3, 4])
    assert graphs._graphs.sizes == {1, 2, 3, 4}
    first = graphs(drawn(4).cuda())
    for count in (4, 1, 3, 2, 4):
        pictures = drawn(count).cuda()
        assert torch.equal(graphs(pictures), eager(pictures))
    assert torch.equal(first, eager(drawn(4).cuda())), "the first call's logits are the caller's own"
