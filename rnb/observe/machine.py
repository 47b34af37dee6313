"""Where a run took place: the code, the software, the machine, its GPUs at both ends, and the inputs."""

from __future__ import annotations

from typing import Any

from rnb.observe import nvml, provenance
from rnb.observe.fingerprint import describe_inputs
from rnb.observe.observer import End, Observer, Seen, Start, Watched


class MachineObserver(Observer):
    """Of every run: what run.json says under 'provenance'."""

    name = "machine"

    def __init__(self) -> None:
        self._watched: Watched | None = None
        self._gpu_states: dict[str, list[dict[str, Any]]] = {}

    def prepare(self, watched: Watched) -> None:
        self._watched = watched
        nvml.machine()

    def start(self, start: Start) -> None:
        self._gpu_states["at_start"] = provenance.gpu_states()

    def stop(self, end: End) -> Seen:
        self._gpu_states["at_end"] = provenance.gpu_states()
        return Seen()

    def facts(self) -> dict[str, Any]:
        """All of it, also of a run that never started."""
        assert self._watched is not None
        inputs = describe_inputs(self._watched.payloads, self._watched.data)
        return {**provenance.collect(self._gpu_states), "inputs": inputs}
