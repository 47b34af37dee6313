"""A driver of GPUs that do not exist, in the place of pynvml and py3nvml."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from rnb.observe import nvml
from rnb.pipeline.visible_gpus import LIBRARIES


class FakeNVMLError(Exception):
    """As both raise for a reading that a GPU lacks."""

    def __init__(self, text: str, value: int = 3) -> None:
        super().__init__(text)
        self.value = value


@dataclass
class FakeGpu:
    """A GPU with all readings but those in `lacks`, which are names of NVML's functions."""

    name: str = "A GPU"
    uuid: str = "GPU-1"
    lacks: Sequence[str] = ()
    processes: Mapping[int, int | None] = field(default_factory=dict)
    """Bytes by pid; None: the driver does not say."""
    mps_clients: Mapping[int, int | None] = field(default_factory=dict)
    percent: Sequence[tuple[int, int, int]] = ()
    """Pid, use and time in us; none: nobody has used it."""


PYNVML, PY3NVML = LIBRARIES

SAMPLED = {
    "sm_percent": 37,
    "memory_bytes": 512,
    "nvdec_percent": 61,
    "sm_clock_mhz": 1980,
    "memory_clock_mhz": 2619,
    "power_w": 312.5,
    "temperature_c": 44,
    "throttle_reasons": 0x24,
}
"""What telemetry samples, as the fake GPUs tell it unless they lack it."""
_open = nvml.machine.__wrapped__


def install(monkeypatch: pytest.MonkeyPatch, gpus: Sequence[FakeGpu], *, library: str = PYNVML) -> None:
    """Let rnb.observe.nvml find these GPUs with one of its libraries, and not find the other."""
    use_libraries(monkeypatch, {library: make_library(gpus)})


def use_libraries(monkeypatch: pytest.MonkeyPatch, libraries: Mapping[str, ModuleType]) -> None:
    """Let rnb.observe.nvml find only these, by name."""
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, libraries.get(name))
    found = _open()
    monkeypatch.setattr(nvml, "machine", lambda: found)


def make_library(gpus: Sequence[FakeGpu]) -> ModuleType:
    library = ModuleType("pynvml")
    readings: dict[str, Callable[..., Any]] = {
        "nvmlDeviceGetName": lambda gpu: gpu.name,
        "nvmlDeviceGetUUID": lambda gpu: gpu.uuid,
        "nvmlDeviceGetUtilizationRates": lambda gpu: _struct(gpu=37, memory=5),
        "nvmlDeviceGetMemoryInfo": lambda gpu: _struct(total=1024, used=512),
        "nvmlDeviceGetDecoderUtilization": lambda gpu: [61, 167_000],
        "nvmlDeviceGetClockInfo": lambda gpu, kind: {1: 1980, 2: 2619}[kind],
        "nvmlDeviceGetPowerUsage": lambda gpu: 312_500,
        "nvmlDeviceGetTemperature": lambda gpu, sensor: 44,
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda gpu: 0x4 | 0x20,
        "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 700_000,
        "nvmlDeviceGetComputeRunningProcesses": lambda gpu: _listed(gpu.processes),
        "nvmlDeviceGetProcessUtilization": _process_utilization,
        "nvmlDeviceGetMPSComputeRunningProcesses": lambda gpu: _listed(gpu.mps_clients),
    }
    library.__dict__.update(
        {name: _unless_lacking(name, reading) for name, reading in readings.items()},
        nvmlInit=lambda: None,
        nvmlSystemGetDriverVersion=lambda: "570.1",
        nvmlDeviceGetCount=lambda: len(gpus),
        nvmlDeviceGetHandleByIndex=lambda index: gpus[index],
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        NVMLError=FakeNVMLError,
    )
    return library


def _struct(**values: int | None) -> Any:
    return type("Struct", (), values)


def _unless_lacking(name: str, reading: Callable[..., Any]) -> Callable[..., Any]:
    def read(gpu: FakeGpu, *arguments: Any) -> Any:
        if name in gpu.lacks:
            raise FakeNVMLError(name)
        return reading(gpu, *arguments)

    return read


def _process_utilization(gpu: FakeGpu, since_us: int) -> list[Any]:
    recent = [_struct(pid=pid, smUtil=use, timeStamp=at) for pid, use, at in gpu.percent if at > since_us]
    if not recent:
        raise FakeNVMLError("Not Found", nvml.NVML_NOT_FOUND)
    return recent


def _listed(processes: Mapping[int, int | None]) -> list[Any]:
    return [_struct(pid=pid, usedGpuMemory=used) for pid, used in processes.items()]
