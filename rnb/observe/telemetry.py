"""How busy GPUs, CPUs and the run's processes are, sampled by a thread of the driver while a run plays.

A thread is enough: the driver only waits then, and the client and the runners do not share its GIL.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap, takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.observe import nvml
from rnb.observe.children import Children
from rnb.observe.cpu_time import cpu_time_s
from rnb.observe.gpu_others import GpuOthers
from rnb.observe.nvml import Gpu
from rnb.observe.observer import Columns, End, Observer, Seen, Start, Watched
from rnb.observe.other_processes import OtherProcesses
from rnb.transport.clock import now_ns

INTERVAL_S = 0.2
"""NVML averages GPU use over a sixth of a second to a second itself."""

MAX_SAMPLES = 10_000
"""At so many, every second one is dropped and the interval doubles, so that memory stays flat."""

STOP_TIMEOUT_S = 2.0
"""A reading may hang in the driver of a GPU that has failed; the run ends without the thread then."""

GPU_READINGS = (
    "sm_percent",
    "memory_bytes",
    "nvdec_percent",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "power_w",
    "temperature_c",
    "throttle_reasons",
)
"""Each is a column gpu<index>.<reading>."""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Where the values of a few columns come from."""

    names: Sequence[str]
    read: Callable[[], Sequence[float]]
    """One value for each name, NaN where there is none."""
    most_percent: float | None = None
    """Not None: the values are seconds of use since some start; the columns are % between two samples."""

    def shown(self, values: NDArray[np.float64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """What a column shows for the values of all samples."""
        if self.most_percent is None:
            return values.copy()
        percent = np.full(len(values), np.nan)
        used = np.diff(values)
        used[used < 0] = np.nan  # another process has taken the place of the one before
        percent[1:] = np.minimum(100e9 * used / np.diff(times_ns), self.most_percent)
        return percent


class Telemetry:
    """Samples from `start` to `stop`; after that, `columns` has what it saw.

    `gpus`: by their index in the plan, None where NVML does not know it. `pids`: by the name of the process.
    """

    def __init__(
        self,
        *,
        gpus: Mapping[int, Gpu | None],
        pids: Mapping[str, int],
        interval_s: float = INTERVAL_S,
        max_samples: int = MAX_SAMPLES,
    ) -> None:
        # Reading a GPU can take milliseconds: the CPU's counters are read first, close to the sample's time.
        own, self._children = frozenset(pids.values()), Children(set(pids.values()) - {os.getpid()})
        self._pids = dict(pids)
        self.gpu_others = {i: GpuOthers(gpu, own) for i, gpu in gpus.items() if gpu is not None}
        self._sources = [
            _cpus(),
            *_processes(gpus, self._pids),
            _children(self._children),
            *starmap(_gpu, gpus.items()),
            *starmap(_others, self.gpu_others.items()),
        ]
        self._interval_s = interval_s
        num_columns = sum(len(source.names) for source in self._sources)
        self._times_ns: NDArray[np.int64] = np.zeros(max_samples, np.int64)
        self._values: NDArray[np.float64] = np.zeros((max_samples, num_columns))
        self._num_samples = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def replace(self, name: str, pid: int) -> None:
        """Another process goes by this name from now on."""
        self._pids[name] = pid
        self._children.adopt(pid)
        for others in self.gpu_others.values():
            others.adopt(pid)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end, within STOP_TIMEOUT_S."""
        self._stopping.set()
        self._thread.join(STOP_TIMEOUT_S)

    def __enter__(self) -> Telemetry:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stopping.is_set():
            self._sample()
            due_s = max(due_s + self._interval_s, time.monotonic())
            self._stopping.wait(due_s - time.monotonic())
        self._sample()

    def _sample(self) -> None:
        if self._num_samples == len(self._times_ns):
            self._drop_every_second()
        self._times_ns[self._num_samples] = now_ns()
        self._values[self._num_samples] = [value for source in self._sources for value in source.read()]
        self._num_samples += 1

    def _drop_every_second(self) -> None:
        kept = (self._num_samples + 1) // 2
        self._times_ns[:kept] = self._times_ns[: self._num_samples : 2].copy()
        self._values[:kept] = self._values[: self._num_samples : 2].copy()
        self._num_samples, self._interval_s = kept, 2 * self._interval_s

    def columns(self, epoch_offset_ns: int) -> Columns:
        """The columns of telemetry.parquet, a row a sample; `epoch_offset_ns` is the clock's."""
        times_ns = self._times_ns[: self._num_samples]
        shown: Columns = {"time_ns": times_ns + epoch_offset_ns}
        values = iter(self._values[: self._num_samples].T)
        for source in self._sources:
            for name in source.names:
                value = next(values)
                shown[name] = source.shown(value, times_ns)
        return shown


def _gpu(index: int, gpu: Gpu | None) -> _Source:
    names = [f"gpu{index}.{reading}" for reading in GPU_READINGS]
    if gpu is None:
        return _Source(names=names, read=lambda: [math.nan] * len(GPU_READINGS))
    return _Source(names=names, read=lambda: [gpu.read(reading) for reading in GPU_READINGS])


def _others(index: int, others: GpuOthers) -> _Source:
    return _Source(names=[f"gpu{index}.others_percent"], read=lambda: [others.percent()])


def _cpus() -> _Source:
    """All CPUs that the run may use, together."""
    cpus = os.sched_getaffinity(0)
    return _Source(
        names=["cpu.percent", "cpu.steal_percent"],
        read=lambda: [seconds / len(cpus) for seconds in _busy_and_stolen_s(cpus)],
        most_percent=100,
    )


def _busy_and_stolen_s(cpus: set[int]) -> tuple[float, float]:
    """Seconds in which these CPUs worked, for whomever, and which the host of a virtual machine took.

    Source: proc(5), /proc/stat.
    """
    wanted = {f"cpu{cpu}" for cpu in cpus}
    busy = stolen = 0
    with open("/proc/stat", encoding="ascii") as file:
        for line in takewhile(lambda line: line.startswith("cpu"), file):
            name, *counters = line.split()
            if name in wanted:
                user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, counters)
                busy += user + nice + system + irq + softirq
                stolen += steal
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return busy / ticks_per_s, stolen / ticks_per_s


def _processes(gpus: Mapping[int, Gpu | None], pids: Mapping[str, int]) -> list[_Source]:
    def names(reading: str) -> list[str]:
        return [f"process.{name}.{reading}" for name in pids]

    def gpu_memory_bytes() -> list[float]:
        used = [gpu.process_memory_bytes() for gpu in gpus.values() if gpu is not None]
        return [_total([by_pid[pid] for by_pid in used if pid in by_pid]) for pid in pids.values()]

    def for_each(read: Callable[[int], float]) -> Callable[[], list[float]]:
        return lambda: [read(pid) for pid in pids.values()]

    return [
        _Source(names=names("cpu_percent"), read=for_each(cpu_time_s), most_percent=math.inf),
        _Source(names=names("memory_bytes"), read=for_each(_resident_bytes)),
        _Source(names=names("gpu_memory_bytes"), read=gpu_memory_bytes),
    ]


def _children(children: Children) -> _Source:
    return _Source(names=["children.cpu_percent"], read=lambda: [children.cpu_s()], most_percent=math.inf)


def _total(values: Sequence[float]) -> float:
    return sum(values) if values else math.nan


def _resident_bytes(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:  # it has ended
        return math.nan
    return float(fields[1]) * os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Telemetry of this machine from now on, and who else computes on it."""

    def __init__(self, gpus: Sequence[int], pids: Mapping[str, int]) -> None:
        """`gpus`: by their index in the plan; `pids`: of the run's processes here, by their names."""
        self._pids = dict(pids)
        self._others = OtherProcesses(pids.values(), os.sched_getaffinity(0))
        self._telemetry = Telemetry(gpus=nvml.gpus_by_cuda_index(gpus), pids=pids)
        self._telemetry.start()

    def look(self) -> None:
        self._others.look()

    def replaced(self, name: str, pid: int) -> None:
        self._pids[name] = pid
        self._others.adopt(pid)
        self._telemetry.replace(name, pid)

    def stop(self) -> None:
        self._telemetry.stop()

    def columns(self, epoch_offset_ns: int) -> Columns:
        return self._telemetry.columns(epoch_offset_ns)

    def facts(self) -> dict[str, Any]:
        """For the provenance: the run's processes, in the end, and the others."""
        return {
            "pids": self._pids,
            "other_processes": self._others.busiest(),
            "other_gpu_processes": [
                {"gpu": index, **one}
                for index, others in self._telemetry.gpu_others.items()
                for one in others.seen()
            ],
        }


class TelemetryObserver(Observer):
    """Telemetry beside a run: the table `telemetry`, and who else computed."""

    name = "telemetry"

    def __init__(self) -> None:
        self._watch: Watch | None = None
        self._watched: Watched | None = None

    def prepare(self, watched: Watched) -> None:
        self._watched = watched
        nvml.machine()  # opening NVML takes a while

    def start(self, start: Start) -> None:
        assert self._watched is not None
        self._watch = Watch(self._watched.plan.gpus, {"driver": os.getpid(), **start.pids})

    def look(self) -> None:
        assert self._watch is not None
        self._watch.look()

    def replaced(self, name: str, pid: int) -> None:
        assert self._watch is not None
        self._watch.replaced(name, pid)

    def stop(self, end: End) -> Seen:
        assert self._watched is not None
        assert self._watch is not None
        self._watch.stop()
        columns = self._watch.columns(self._watched.clock.epoch_offset_ns())
        return Seen(tables={self.name: columns}, facts=self._watch.facts())
