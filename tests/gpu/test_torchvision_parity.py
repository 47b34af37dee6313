"""Our network with torchvision's r2plus1d_18 weights gives torchvision's logits, whole and split."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from models.r2p1d.checkpoint import Checkpoint, read_checkpoint
from models.r2p1d.network import TORCHVISION
from models.r2p1d.weights import build_part
from tests.support.torchvision_module import torchvision_module

pytestmark = pytest.mark.gpu

SPLITS = [[(1, 5)], [(1, 1), (2, 5)], [(1, 2), (3, 4), (5, 5)], [(index, index) for index in range(1, 6)]]


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        if os.environ.get("RNB_REQUIRE_CUDA") == "1":
            pytest.fail("RNB_REQUIRE_CUDA=1, but PyTorch sees no GPU")
        pytest.skip("needs an NVIDIA GPU")
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def exact_fp32() -> Iterator[None]:
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn


@pytest.fixture(scope="module")
def reference() -> Any:
    """torchvision's network, its batch norms moved off their initial identity as training would."""
    torch.manual_seed(0)
    network = (
        torchvision_module("torchvision.models.video").r2plus1d_18(weights=None).eval().requires_grad_(False)
    )
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            for tensor in (module.weight, module.running_var):
                assert tensor is not None
                tensor.data.uniform_(0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                assert tensor is not None
                tensor.data.normal_(std=0.1)
    return network


@pytest.fixture(scope="module")
def checkpoint(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path: Path = tmp_path_factory.mktemp("torchvision") / "r2plus1d_18.pth"
    torch.save(reference.state_dict(), path)
    return read_checkpoint(path)


@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_logits_are_those_of_torchvision(
    split: list[tuple[int, int]], device: torch.device, reference: Any, checkpoint: Checkpoint
) -> None:
    clips = torch.randn(2, 3, 8, 112, 112, generator=torch.Generator().manual_seed(1)).to(device)
    with torch.inference_mode():
        expected = reference.to(device)(clips)
        logits = clips
        for start, end in split:
            logits = build_part(start, end, checkpoint=checkpoint, device=device)(logits)
    assert checkpoint.variant is TORCHVISION
    difference = (logits - expected).abs().max() / expected.abs().max()
    assert difference < 1e-4
