"""A driver of GPUs that do not exist, in the place of py3nvml."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from rnb import nvml


class FakeNVMLError(Exception):
    """As py3nvml raises for a reading that a GPU lacks."""


@dataclass
class FakeGpu:
    """A GPU with all readings but those in `lacks`, which are names of NVML's functions."""

    name: str = "A GPU"
    uuid: str = "GPU-1"
    lacks: Sequence[str] = ()
    processes: Mapping[int, int] = field(default_factory=dict)
    """Bytes by pid."""
    mps_clients: Mapping[int, int] = field(default_factory=dict)


def install(monkeypatch: pytest.MonkeyPatch, gpus: Sequence[FakeGpu]) -> None:
    """Let rnb.nvml find these GPUs."""
    package = ModuleType("py3nvml")
    package.py3nvml = make_library(gpus)  # type: ignore[attr-defined]
    use_package(monkeypatch, package)


def use_package(monkeypatch: pytest.MonkeyPatch, package: ModuleType | None) -> None:
    """Let rnb.nvml find this py3nvml; None stands for none."""
    monkeypatch.setitem(sys.modules, "py3nvml", package)
    found = nvml.machine.__wrapped__()
    monkeypatch.setattr(nvml, "machine", lambda: found)


class _ProcessInfo(ctypes.Structure):
    _fields_ = (("pid", ctypes.c_uint), ("usedGpuMemory", ctypes.c_ulonglong))


def make_library(gpus: Sequence[FakeGpu]) -> ModuleType:
    library = ModuleType("py3nvml.py3nvml")
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
    }
    lists = {
        "nvmlDeviceGetComputeRunningProcesses": lambda gpu: gpu.processes,
        "nvmlDeviceGetMPSComputeRunningProcesses": lambda gpu: gpu.mps_clients,
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
        c_nvmlProcessInfo_t=_ProcessInfo,
        _nvmlCheckReturn=lambda status: None,
        _nvmlGetFunctionPointer=lambda name: _unless_lacking(name, _lister(lists[name])),
    )
    return library


def _struct(**values: int) -> Any:
    return type("Struct", (), values)


def _unless_lacking(name: str, reading: Callable[..., Any]) -> Callable[..., Any]:
    def read(gpu: FakeGpu, *arguments: Any) -> Any:
        if name in gpu.lacks:
            raise FakeNVMLError(name)
        return reading(gpu, *arguments)

    return read


def _lister(processes_of: Callable[[FakeGpu], Mapping[int, int]]) -> Callable[[FakeGpu, Any, Any], int]:
    """Fills a C array, as NVML does."""

    def fill(gpu: FakeGpu, count: Any, array: Any) -> int:
        processes = processes_of(gpu)
        for entry, (pid, used) in zip(array, processes.items(), strict=False):
            entry.pid, entry.usedGpuMemory = pid, used
        count._obj.value = len(processes)
        return 0

    return fill
