"""torchvision's networks up to their boxes: their facts, their weights, and those of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.checkpoint_file import CheckpointError
from models.detection.network import NETWORKS, NetworkName, build_ssd

LITE: NetworkName = "ssdlite320_mobilenet_v3_large"


@pytest.mark.parametrize("name", [LITE, pytest.param("ssd300_vgg16", marks=pytest.mark.slow)])
def test_the_facts_of_a_network_are_right(name: NetworkName) -> None:
    network, facts = build_ssd(name, 5, None, 0), NETWORKS[name]
    assert network.anchors.shape == (facts.num_boxes, 4)
    with torch.inference_mode():
        probabilities, boxes = network(torch.randn(2, 3, facts.side, facts.side))
    assert (probabilities.shape, boxes.shape) == ((2, facts.num_boxes, 5), (2, facts.num_boxes, 4))
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, facts.num_boxes))
    assert boxes.min() == 0
    assert boxes.max() == facts.side


def test_random_weights_are_of_the_seed_and_tell_pictures_apart() -> None:
    pictures = torch.randn(2, 3, 320, 320, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first, again, other = (build_ssd(LITE, 91, None, seed)(pictures)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first[0].argmax(-1) != first[1].argmax(-1)).float().mean() > 0.5
    assert len(first.argmax(-1).unique()) > 80


def test_a_checkpoint_is_taken_and_checked(tmp_path: Path) -> None:
    network = build_ssd(LITE, 4, None, 3).network
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    taken = build_ssd(LITE, 4, str(path), 0).network.state_dict()
    assert all(torch.equal(value, taken[key]) for key, value in network.state_dict().items())
    with pytest.raises(CheckpointError, match=r"weights\.pth: head\..* \(does num_classes agree\?\)$"):
        build_ssd(LITE, 91, str(path), 0)
    torch.save({"fc.weight": torch.zeros(3)}, path)
    with pytest.raises(
        CheckpointError, match=r"\d+ missing keys: .*is it torchvision's ssdlite320"
    ) as caught:
        build_ssd(LITE, 91, str(path), 0)
    assert "\n" not in str(caught.value)
