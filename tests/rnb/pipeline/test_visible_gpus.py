"""How many GPUs CUDA would show, without PyTorch where NVML knows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from rnb.pipeline.visible_gpus import LIBRARIES, num_visible_gpus
from tests.support.fake_nvml import FakeGpu, install

ASKED_PYTORCH = 77


@pytest.fixture(autouse=True)
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install(monkeypatch, [FakeGpu(uuid=f"GPU-{index}") for index in range(3)])
    torch = ModuleType("torch")
    torch.cuda = ModuleType("torch.cuda")  # type: ignore[attr-defined]
    torch.cuda.device_count = lambda: ASKED_PYTORCH
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr("importlib.metadata.version", lambda name: {"torch": "2.13.0"}[name])
    num_visible_gpus.cache_clear()
    yield
    num_visible_gpus.cache_clear()


@pytest.mark.parametrize(
    ("devices", "num"),
    [(None, 3), ("0", 1), ("2,0", 2), (" 1, 2 ", 2), ("0,1,3,2", 2), ("7", 0)],
)
def test_nvml_counts_those_with_indices(devices: str | None, num: int) -> None:
    assert num_visible_gpus(devices) == num


@pytest.mark.parametrize("devices", ["", "-1", "0,-1", "1,1", "1,01", "GPU-1", "MIG-2", "0,", "no"])
def test_pytorch_is_asked_for_other_names(devices: str) -> None:
    assert num_visible_gpus(devices) == ASKED_PYTORCH


def test_pytorch_is_asked_where_nvml_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES:
        monkeypatch.setitem(sys.modules, library, None)
    assert num_visible_gpus(None) == ASKED_PYTORCH


def test_pytorch_for_the_cpu_sees_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is there."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0+cpu")
    assert num_visible_gpus(None) == ASKED_PYTORCH
