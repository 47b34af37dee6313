"""Which device a GPU of the config means, and what is said where it is not there."""

from __future__ import annotations

import pytest

from rnb.contract.device import CPU, Device
from rnb.pipeline import devices
from rnb.pipeline.config import ConfigError, PipelineConfig, parse_config
from rnb.pipeline.devices import device_of, resolve_mode


def config_on(*gpus: int) -> PipelineConfig:
    return parse_config([{"model": "a.Load", "gpus": [-1]}, {"model": "a.Run", "gpus": list(gpus)}])


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_num_gpus", lambda: 2)
    for name in ("CUDA_VISIBLE_DEVICES", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("gpu", "mode", "device"),
    [
        (-1, "cuda", CPU),
        (1, "cuda", Device("cuda", 1)),
        (1, "cpu", CPU),
    ],
)
def test_the_device_of_a_gpu(gpu: int, mode: str, device: Device) -> None:
    assert device_of(gpu, mode) == device


@pytest.mark.parametrize(("asked", "mode"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_a_mode_for_gpus_that_are_there(asked: str, mode: str) -> None:
    assert resolve_mode(asked, config_on(0, 1, -1)) == mode


def test_a_config_for_the_cpu_alone_asks_for_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_num_gpus", lambda: 1 / 0)
    assert resolve_mode("auto", config_on(-1)) == "cuda"
    assert resolve_mode("cpu", config_on(5)) == "cpu"


def test_a_gpu_that_is_not_there_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_mode("auto", config_on(0, 2))
    assert str(caught.value) == (
        "pipeline[1].queue_groups[0].gpus: GPU 2: this machine has 2, so it may be 0 to 1, or -1 for the CPU"
        " (--device auto)"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with pytest.raises(ConfigError, match="GPU 2: CUDA_VISIBLE_DEVICES=3,5 shows 2, so"):
        resolve_mode("cuda", config_on(2))


@pytest.mark.parametrize("mode", ["auto", "cuda"])
def test_without_a_gpu_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(devices, "_num_gpus", lambda: 0)
    with pytest.raises(ConfigError, match="GPU 0: no GPU here; --device cpu runs every replica on the CPU"):
        resolve_mode(mode, config_on(0))


@pytest.mark.parametrize("name", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"])
def test_memory_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "backend:native,expandable_segments:True")
    with pytest.raises(ConfigError, match="expandable_segments breaks sharing slots; unset it"):
        resolve_mode("auto", config_on(0))
    assert resolve_mode("cpu", config_on(0)) == "cpu"
