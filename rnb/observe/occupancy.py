"""--occupancy: samples the GPUs beside the run and gathers what the runners traced.

`utils.cupti` has what talks to CUPTI; it is imported when it is asked for, as nothing else of a run needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rnb.observe.kernel_probe import KernelProbe, KernelRecord
from rnb.observe.observer import End, Observer, Seen, Start, Told, Watched
from rnb.observe.occupancy_tables import NOTHING_SEEN, Replica, Tables, make_tables
from rnb.pipeline.plan import Plan

if TYPE_CHECKING:
    from utils.cupti.gpu_sampler import GpuSamples
    from utils.cupti.kernel_windows import WindowedKernels
    from utils.cupti.sampling_process import SamplingProcess

SAMPLE_INTERVAL_US = 2_000


class OccupancyObserver(Observer):
    """What cannot be had is told in a line, kept in the notes, and the run goes on without it."""

    name = "occupancy"

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._replicas: list[Replica] = []
        self._sampling: SamplingProcess | None = None
        self._known: set[str] = set()
        self._watched: Watched | None = None

    def probe(self, plan: Plan) -> KernelProbe | None:
        self._replicas = [
            Replica(name=one.name, step=one.step, number=one.replica, gpu=one.device.index)
            for one in plan.replicas
            if one.device.index is not None
        ]
        names = frozenset(replica.name for replica in self._replicas)
        return KernelProbe(observer=self.name, gpus=names) if names else None

    def prepare(self, watched: Watched) -> None:
        self._watched = watched
        if watched.plan.gpus:
            from utils.cupti.sampling_process import SamplingProcess

            self._sampling = SamplingProcess(watched.plan.gpus, interval_us=SAMPLE_INTERVAL_US)

    def start(self, start: Start) -> None:
        if self._sampling is None:
            self._tell({"occupancy": "no step of this run computes on a GPU"})
        else:
            self._tell(_counters(self._sampling.start()) | _kernels(start.told))

    def stop(self, end: End) -> Seen:
        tables = self._tables(end.told)
        found = {
            "occupancy": tables.occupancy,
            "kernel_windows": tables.kernel_windows,
            "kernels": tables.kernels,
        }
        return Seen(tables={name: one for name, one in found.items() if one is not None}, notes=self.notes)

    def _tables(self, told: Told) -> Tables:
        if self._sampling is None or self._watched is None:
            return NOTHING_SEEN
        samples, problems = self._sampling.stop()
        self._tell(_counters(problems) | _kernels(told))
        found = {replica: _found(told.get(replica.name, ())) for replica in self._replicas}
        traced = {replica: kernels for replica, kernels in found.items() if kernels is not None}
        self._tell_losses(samples, traced)
        offset_ns = self._watched.clock.epoch_offset_ns()
        return make_tables(self._replicas, samples, traced, epoch_offset_ns=offset_ns)

    def kill(self) -> None:
        """Leave nothing behind, however the run ended."""
        if self._sampling is not None:
            self._sampling.kill()

    def _tell(self, problems: Mapping[str, str]) -> None:
        """`problems`: why, by what cannot be had. A line for each reason that is new."""
        for reason in dict.fromkeys(problems.values()):
            if reason not in self._known:
                self._known.add(reason)
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
        if self._watched is not None:
            self._watched.warn(f"--occupancy: {line}")


def _counters(problems: Mapping[int, str]) -> dict[str, str]:
    return {f"the counters of GPU {gpu}": problem for gpu, problem in problems.items()}


def _kernels(told: Told) -> dict[str, str]:
    records = [(name, record) for name, of_runner in told.items() for record in of_runner]
    return {f"the kernels of {name}": record.problem for name, record in records if record.problem}


def _found(records: Sequence[KernelRecord]) -> WindowedKernels | None:
    """What a runner traced."""
    return next((record.found for record in records if record.found is not None), None)
