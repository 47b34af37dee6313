"""ResNet-50: its layout, its weights, and what it makes of pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from models.checkpoint_file import CheckpointError
from models.images.resnet import build_resnet50
from tests.support.torchvision_module import torchvision_module


def test_it_has_the_size_of_the_papers() -> None:
    """25.557 million weights with 1,000 classes, and torchvision's 320 tensors."""
    network = build_resnet50(1000, None, 0)
    assert sum(weights.numel() for weights in network.parameters()) == 25_557_032
    names = list(network.state_dict())
    assert len(names) == 320
    block = r"layer[1-4]\.\d\.(conv[123]\.weight|bn[123]\.\w+|downsample\.(0\.weight|1\.\w+))"
    assert all(re.fullmatch(rf"conv1\.weight|bn1\.\w+|{block}|fc\.(weight|bias)", name) for name in names)
    assert tuple(network.state_dict()["layer3.5.conv2.weight"].shape) == (256, 256, 3, 3)
    assert tuple(network.state_dict()["layer2.0.downsample.0.weight"].shape) == (512, 256, 1, 1)


def test_layers_halve_what_they_see() -> None:
    network, seen = build_resnet50(7, None, 0), {}
    for name in ("maxpool", "layer1", "layer4"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: seen.update({name: tuple(output.shape)})
        )
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 7)
    assert seen == {"maxpool": (1, 64, 16, 24), "layer1": (1, 256, 16, 24), "layer4": (1, 2048, 2, 3)}


def test_a_checkpoint_gives_its_weights(tmp_path: Path) -> None:
    trained = build_resnet50(5, None, 3)
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "a.pt")
    loaded = build_resnet50(5, str(tmp_path / "a.pt"), 0)
    pictures = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(pictures), trained(pictures))
        assert not torch.equal(build_resnet50(5, None, 0)(pictures), trained(pictures))
    with pytest.raises(CheckpointError, match=r"fc.weight is \(5, 2048\) instead of \(6, 2048\)"):
        build_resnet50(6, str(tmp_path / "a.pt"), 0)


def test_random_weights_tell_pictures_apart() -> None:
    network = build_resnet50(1000, None, 0)
    with torch.inference_mode():
        logits = network(torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert len(set(logits.argmax(1).tolist())) > 4
    assert 0.05 < logits.std() < 20


def test_it_is_torchvisions_network() -> None:
    torchvision = torchvision_module("torchvision")
    network, other = build_resnet50(1000, None, 0), torchvision.models.resnet50().eval()
    other.load_state_dict(network.state_dict())
    pictures = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(pictures), other(pictures))
