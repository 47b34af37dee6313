"""Devices, which need no torch until they are asked for its own."""

from __future__ import annotations

import pytest
import torch

from rnb.contract.device import CPU, Device


@pytest.mark.parametrize(
    ("device", "text", "is_gpu"),
    [(CPU, "cpu", False), (Device("cuda", 1), "cuda:1", True), (Device("cuda"), "cuda", True)],
)
def test_a_device_is_torchs_by_the_same_name(device: Device, text: str, is_gpu: bool) -> None:
    assert str(device) == text
    assert device.torch() == torch.device(text)
    assert device.is_gpu is is_gpu


def test_devices_are_equal_by_their_index() -> None:
    assert Device("cuda", 0) == Device("cuda", 0) != Device("cuda", 1)
    assert Device() == CPU
