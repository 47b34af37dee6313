"""Stands for the harness where a test is about what is made of its runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnb.analysis.summary import summarize
from rnb.analysis.verdict import judge
from rnb.campaigns.outcome import Outcome
from rnb.planner.origin import origin_now
from rnb.record.run_folder import write
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import RunSpec, schedule_of
from tests.support.known_times import KnownTimes


class Harness:
    """Stands for the real one: plays what is known of each step at once, and keeps the runs as it does."""

    def __init__(self, call_ms: Callable[[RunSpec, int], float], cores: float = 64) -> None:
        """`call_ms`: of a run's step."""
        self._call_ms, self._cores = call_ms, cores
        self.specs: list[RunSpec] = []

    def __call__(self, spec: RunSpec, logs: Path, **more: Any) -> Any:
        self.specs.append(spec)
        settled, schedule = schedule_of(replace(spec, observe=(), memory=False))
        times = KnownTimes(lambda step, rows, request: self._call_ms(spec, step), lambda request: 2)
        run = simulate(settled, schedule, times, around=Surroundings(capacity={"cpu": self._cores}))
        options = spec.config.data["pipeline"][-1]
        right = run.requests["request_id"] % 10 < 10 * options.get("share", 1)
        run.requests["label"] = np.where(right, 1, 2).astype(np.int32)
        run.meta.is_success = not options.get("fails", False)
        run.meta.provenance = origin_now(spec, {})
        run.meta.provenance["gpus"], run.meta.provenance["inputs"] = [], None
        run.folder = logs / f"run {len(self.specs)}"
        run.folder.mkdir(parents=True)
        write(run, run.folder)
        problem = "" if run.meta.is_success else "it does not work"
        return Outcome(run=run, summary=summarize(run), verdict=judge(run), problem=problem)
