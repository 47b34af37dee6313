"""The machine's GPUs as NVIDIA's management library sees them. What a GPU or driver does not tell is NaN.

NVML makes no CUDA context, so the driver process may read it beside a run. Source: NVIDIA's "NVML API
Reference Guide" for the readings, "CUDA C++ Programming Guide", environment variables, for the indices.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnb.pipeline.visible_gpus import opened_nvml

READINGS: Mapping[str, Callable[[Any, Any], float]] = {
    "sm_percent": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "memory_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    "nvdec_percent": lambda nvml, gpu: nvml.nvmlDeviceGetDecoderUtilization(gpu)[0],
    "sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "throttle_reasons": lambda nvml, gpu: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),
    "total_memory_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    "power_cap_w": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
}

THROTTLE_REASONS = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}
"""The bits of `throttle_reasons`: why the clocks are lower than they could be (nvml.h)."""

_PROCESS_LISTS = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetMPSComputeRunningProcesses")
NVML_NOT_FOUND = 6
"""What it says where nobody has used the GPU."""


class Gpu:
    """One GPU of the machine."""

    def __init__(self, library: Any, handle: Any) -> None:
        self._library, self._handle = library, handle
        self.name: str | None = self._text("nvmlDeviceGetName")
        self.uuid: str | None = self._text("nvmlDeviceGetUUID")

    def _text(self, function: str) -> str | None:
        try:
            return str(getattr(self._library, function)(self._handle))
        except self._library.NVMLError:
            return None

    def read(self, reading: str) -> float:
        """One of READINGS now, or NaN."""
        try:
            return float(READINGS[reading](self._library, self._handle))
        except self._library.NVMLError:
            return math.nan

    def process_memory_bytes(self) -> dict[int, float]:
        """The memory of each process that computes on the GPU, clients of MPS too, by its pid."""
        return {pid: used for name in _PROCESS_LISTS for pid, used in self._processes(name).items()}

    def process_percent(self, *, since_us: int) -> dict[int, float] | None:
        """The latest use of the multiprocessors by each process, by its pid; None: it is not told.

        Of those that used them since `since_us` of the epoch.
        """
        try:
            samples = self._library.nvmlDeviceGetProcessUtilization(self._handle, since_us)
        except AttributeError:  # py3nvml does not know it
            return None
        except self._library.NVMLError as error:
            return {} if getattr(error, "value", None) == NVML_NOT_FOUND else None
        in_order = sorted(samples, key=lambda sample: int(sample.timeStamp))
        return {sample.pid: float(sample.smUtil) for sample in in_order}

    def _processes(self, name: str) -> dict[int, float]:
        function = getattr(self._library, name, None)  # py3nvml does not know the list of MPS's clients
        try:
            listed = function(self._handle) if function else []
        except self._library.NVMLError:
            return {}
        return {
            entry.pid: math.nan if entry.usedGpuMemory is None else float(entry.usedGpuMemory)
            for entry in listed
        }


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What NVML tells of this machine; without a driver, nothing."""

    driver: str | None = None
    gpus: Sequence[Gpu] = ()

    def by_cuda_index(self, environment: Mapping[str, str] = os.environ) -> list[Gpu | None]:
        """The GPUs in the order in which CUDA counts them; None where it cannot be told which one it is."""
        asked = environment.get("CUDA_VISIBLE_DEVICES")
        if asked is None:
            asked = ",".join(map(str, range(len(self.gpus))))
        found: list[Gpu | None] = []
        for identifier in filter(None, asked.replace(" ", "").split(",")):
            if identifier.lstrip("-").isdecimal():
                if not 0 <= int(identifier) < len(self.gpus):
                    break  # CUDA shows only those before an index that does not exist
                found.append(self.gpus[int(identifier)] if self._is_in_nvml_order(environment) else None)
            else:
                found.append(self._with_uuid(identifier))
        return found

    def _is_in_nvml_order(self, environment: Mapping[str, str]) -> bool:
        """NVML counts by PCI bus; CUDA does where it is told to, else the fastest model comes first."""
        is_by_bus = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        return is_by_bus or len({gpu.name for gpu in self.gpus}) == 1

    def _with_uuid(self, start: str) -> Gpu | None:
        matches = [gpu for gpu in self.gpus if (gpu.uuid or "").startswith(start)]
        return matches[0] if len(matches) == 1 else None


def gpus_by_cuda_index(indices: Sequence[int]) -> dict[int, Gpu | None]:
    """The GPUs with these indices, which are CUDA's; None where NVML does not know one."""
    known = dict(enumerate(machine().by_cuda_index()))
    return {index: known.get(index) for index in indices}


@functools.cache
def machine() -> Machine:
    """NVML, opened at the first call; it stays open, since a reading of another thread may be under way."""
    try:
        library = opened_nvml()
        handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]
        return Machine(
            driver=library.nvmlSystemGetDriverVersion(), gpus=[Gpu(library, handle) for handle in handles]
        )
    except Exception:  # no library, no driver, or one too old: there is an exception for each
        return Machine()


def throttle_names(mask: float) -> list[str]:
    """The reasons in a reading of `throttle_reasons`; those that this list does not know as hex."""
    if math.isnan(mask):
        return []
    bits = [1 << position for position in range(64) if int(mask) >> position & 1]
    return [THROTTLE_REASONS.get(bit, hex(bit)) for bit in bits]
