"""Working candidates out in several processes, where that takes long enough to pay."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple

from rnb.pipeline.step_type import asking_once
from rnb.planner.ceilings import Ceiling
from rnb.planner.goal import Goal, Prediction
from rnb.planner.screening import Candidate, Simulator
from rnb.planner.space import Space, Values
from rnb.processes.child import (
    depend_on_the_driver,
    ignore_interrupts,
    interrupts_held_back,
    resume_garbage_collection,
    set_title,
)

PAYS_AFTER_S = 5.0
"""Starting the others takes seconds: what is done sooner is done here alone."""
MOST_PROCESSES = 16


class _Job(NamedTuple):
    """What all predictions have in common."""

    goal: Goal
    simulator: Simulator
    space: Space


class Predictor:
    """Predicts candidates of a space. What it says is the same however many processes there are.

    `num_processes`: by default one for each core of this process.
    """

    def __init__(
        self, goal: Goal, simulator: Simulator, space: Space, *, num_processes: int | None = None
    ) -> None:
        self._job = _Job(goal, simulator, space)
        self._num_processes = num_processes or min(MOST_PROCESSES, len(os.sched_getaffinity(0)))
        self._seconds_alone = 0.0
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def predict(self, candidates: Sequence[Candidate], best: Prediction | None) -> Iterator[Prediction]:
        """In their order. `best`: see Simulator.predict."""
        num_done = 0
        if self._pays():
            with contextlib.suppress(BrokenProcessPool):  # one of them was killed, say for memory
                for found in self._by_others(candidates, best):
                    yield found
                    num_done += 1
                return
            self._num_processes = 1
        for candidate in candidates[num_done:]:
            began_s = time.monotonic()
            found = self._job.simulator.predict(self._job.goal, candidate, best)
            self._seconds_alone += time.monotonic() - began_s
            yield found

    def _pays(self) -> bool:
        return self._num_processes > 1 and self._seconds_alone > PAYS_AFTER_S

    def _by_others(self, candidates: Sequence[Candidate], best: Prediction | None) -> Iterator[Prediction]:
        if self._pool is None:
            simulator = self._job.simulator
            profile = replace(simulator.profile, _made={})
            self._pool = ProcessPoolExecutor(
                self._num_processes,
                multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._job._replace(simulator=replace(simulator, profile=profile)),),
            )
        with interrupts_held_back():
            futures = [
                self._pool.submit(_predict, one.values, one.bound, one.size, best) for one in candidates
            ]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


_job: _Job
"""Of a process that works for another one."""


def _begin(job: _Job) -> None:
    global _job
    depend_on_the_driver()
    ignore_interrupts()
    set_title("rnb planner")
    resume_garbage_collection()
    contextlib.ExitStack().enter_context(asking_once())  # as long as the process lives
    _job = job


def _predict(values: Values, bound: Ceiling, size: tuple[int, int], best: Prediction | None) -> Prediction:
    candidate = Candidate(values=values, space=_job.space, bound=bound, size=size)
    return _job.simulator.predict(_job.goal, candidate, best)
