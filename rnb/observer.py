"""What the driver watches while a run plays: telemetry, progress, and the state of the GPUs at both ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from rnb import nvml, provenance
from rnb.clock import epoch_offset_ns
from rnb.plan import Plan
from rnb.progress import Progress, Tracker
from rnb.queues import MessageQueue
from rnb.request_table import RequestTable
from rnb.telemetry import Telemetry


class Observer:
    """Watches one run. `queues` are those of the plan; the first `num_warmup` requests do not count."""

    def __init__(
        self,
        plan: Plan,
        table: RequestTable,
        queues: Sequence[MessageQueue],
        *,
        num_warmup: int,
        has_telemetry: bool,
    ) -> None:
        self._plan, self._table, self._queues = plan, table, queues
        self._num_warmup, self._has_telemetry = num_warmup, has_telemetry
        self.telemetry: dict[str, NDArray[Any]] | None = None
        """The columns of telemetry.parquet, once the run is over."""
        self.gpu_states: dict[str, list[dict[str, Any]]] = {}
        """What the GPUs said 'at_start' and 'at_end'."""

    def prepare(self) -> None:
        """Open what takes a while to open, so that it happens before the timed part."""
        nvml.machine()

    @contextlib.contextmanager
    def watch(self, pids: Mapping[str, int]) -> Iterator[Callable[[], None]]:
        """Watch while inside; gives what is to be called now and then. `pids`: by the name of the process."""
        self.gpu_states["at_start"] = provenance.gpu_states()
        tracker = Tracker(self._table, num_warmup=self._num_warmup, depths=self._depths)
        with self._sampling({"driver": os.getpid(), **pids}), Progress(tracker) as progress:
            yield progress.update
        self.gpu_states["at_end"] = provenance.gpu_states()

    @contextlib.contextmanager
    def _sampling(self, pids: Mapping[str, int]) -> Iterator[None]:
        if not self._has_telemetry:
            yield
            return
        with Telemetry(gpus=self._gpus(), pids=pids) as telemetry:
            yield
        self.telemetry = telemetry.columns(epoch_offset_ns())

    def _gpus(self) -> dict[int, nvml.Gpu | None]:
        """The GPUs of the plan by their index there, which is CUDA's."""
        by_cuda_index = dict(enumerate(nvml.machine().by_cuda_index()))
        indices = sorted(
            {replica.device.index for replica in self._plan.replicas if replica.device.type == "cuda"}
        )
        return {index: by_cuda_index.get(index) for index in indices}

    def _depths(self) -> list[int]:
        """How many messages wait for each step."""
        feeding = [
            {replica.in_queue for replica in self._plan.replicas if replica.step == step}
            for step in range(self._plan.num_steps)
        ]
        return [sum(self._queues[queue].depth() for queue in queues) for queues in feeding]
