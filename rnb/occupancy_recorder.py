"""The driver's part of --occupancy: samples the GPUs beside the run and gathers what the runners traced.

`utils` has what talks to CUPTI; it is imported when it is asked for, as nothing else of a run needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rnb.console import warn
from rnb.kernel_recorder import KernelRecord, KernelWindowing
from rnb.occupancy_tables import NOTHING_SEEN, Replica, Tables, make_tables
from rnb.plan import Plan

if TYPE_CHECKING:
    from utils.gpu_sampler import GpuSamples
    from utils.kernel_windows import WindowedKernels
    from utils.sampling_process import SamplingProcess

SAMPLE_INTERVAL_US = 2_000


@dataclass
class OccupancyRecorder:
    """Of one run. What cannot be had is told in a line, kept in `notes`, and the run goes on without it."""

    plan: Plan
    is_asked: bool
    notes: list[str] = field(default_factory=list)
    _sampling: SamplingProcess | None = field(default=None, init=False)
    _told: set[str] = field(default_factory=set, init=False)

    @property
    def windowing(self) -> KernelWindowing | None:
        """What the runners are to do."""
        return KernelWindowing() if self._replicas() and self.is_asked else None

    def _replicas(self) -> list[Replica]:
        return [
            Replica(name=replica.name, step=replica.step, number=replica.replica, gpu=replica.device.index)
            for replica in self.plan.replicas
            if replica.device.type == "cuda"
        ]

    def prepare(self) -> None:
        """While the runners get ready."""
        gpus = sorted({replica.gpu for replica in self._replicas()})
        if self.is_asked and gpus:
            from utils.sampling_process import SamplingProcess

            self._sampling = SamplingProcess(gpus, interval_us=SAMPLE_INTERVAL_US)

    def start(self, told: Mapping[str, KernelRecord]) -> None:
        """When all are ready, right before the timed part. `told`: by the name of the runner."""
        if self.is_asked and self._sampling is None:
            self._tell({"occupancy": "no step of this run computes on a GPU"})
        if self._sampling is not None:
            self._tell(_counters(self._sampling.start()) | _kernels(told))

    def stop(self, told: Mapping[str, KernelRecord], *, epoch_offset_ns: int) -> Tables:
        """What was seen."""
        if self._sampling is None:
            return NOTHING_SEEN
        samples, problems = self._sampling.stop()
        self._tell(_counters(problems) | _kernels(told))
        replicas = self._replicas()
        found = {replica: told[replica.name].found for replica in replicas if replica.name in told}
        traced = {replica: kernels for replica, kernels in found.items() if kernels is not None}
        self._tell_losses(samples, traced)
        return make_tables(replicas, samples, traced, epoch_offset_ns=epoch_offset_ns)

    def kill(self) -> None:
        """Leave nothing behind, however the run ended."""
        if self._sampling is not None:
            self._sampling.kill()

    def _tell(self, problems: Mapping[str, str]) -> None:
        """`problems`: why, by what cannot be had. A line for each reason that is new."""
        for reason in dict.fromkeys(problems.values()):
            if reason not in self._told:
                self._told.add(reason)
                without = ", ".join(what for what, why in problems.items() if why == reason)
                self._note(f"{reason}; the run goes on without {without}")

    def _tell_losses(self, samples: Sequence[GpuSamples], traced: Mapping[Replica, WindowedKernels]) -> None:
        for of_gpu in samples:
            if of_gpu.num_overflows:
                self._note(f"GPU {of_gpu.device}: its buffer of counters ran full, so samples are missing")
        for replica, kernels in traced.items():
            if kernels.num_dropped:
                self._note(f"{replica.name}: CUPTI dropped {kernels.num_dropped} records of kernels")

    def _note(self, line: str) -> None:
        self.notes.append(line)
        warn(f"--occupancy: {line}")


def _counters(problems: Mapping[int, str]) -> dict[str, str]:
    return {f"the counters of GPU {gpu}": problem for gpu, problem in problems.items()}


def _kernels(told: Mapping[str, KernelRecord]) -> dict[str, str]:
    return {f"the kernels of {name}": record.problem for name, record in told.items() if record.problem}
