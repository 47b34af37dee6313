"""Service times of which a test knows the distribution, for simulations without a harness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rnb.load.load import Load
from rnb.pipeline.config import ConfigFile
from rnb.pipeline.plan import ReplicaPlan
from rnb.record.run import Run
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import Placement, RunSpec, schedule_of

NOTHING = "models.nothing.model.Nothing"
TIMED = "tests.support.timed_steps"


@dataclass(frozen=True)
class KnownTimes:
    """A call takes what the function says of its step, its rows and its first request."""

    of_call_ms: Callable[[int, int, int], float]
    rows_of_request: Callable[[int], int] = lambda request: 1

    def rows_of(self, request: int) -> int:
        return self.rows_of_request(request)

    def call_ns(self, replica: ReplicaPlan, rows: int, request: int) -> int:
        return round(1e6 * self.of_call_ms(replica.step, rows, request))


def step(model: str = NOTHING, *, replicas: int = 1, **more: Any) -> dict[str, Any]:
    return {"model": model if "." in model else f"{TIMED}.{model}", "gpus": [0] * replicas, **more}


def spec_of(*steps: Any, placement: dict[str, Any] | None = None, **load: Any) -> RunSpec:
    """A run of these steps on the CPU, of requests that are only waited for."""
    data = {"video_path_iterator": "models.queueing.model.Requests", "pipeline": list(steps)}
    return RunSpec(
        config=ConfigFile(path="known.json", data=data),
        load=Load(**{"mean_interval_ms": 0, "videos": 20, **load}),
        placement=Placement(**{"device": "cpu", "queue_size": 1_000_000, **(placement or {})}),
        observe=(),
    )


def simulated(spec: RunSpec, times: KnownTimes, around: Surroundings | None = None) -> Run:
    spec, schedule = schedule_of(spec)
    return simulate(spec, schedule, times, around=around)
