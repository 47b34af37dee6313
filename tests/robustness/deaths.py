"""Kills replicas at random in the middle of many requests: nothing may be lost, and nothing come twice."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rnb.observe.observer import End, Observer, Seen, Start, Watched
from rnb.record.run import Run, Table
from rnb.record.tables import EVENTS
from rnb.spec import Limits
from rnb.transport.fabric import FAILED, FINISHED
from rnb.transport.local.slots import SlotPool
from tests.robustness.attack import Fault, Outcome
from tests.robustness.drawn_pipeline import DrawnPipeline, draw
from tests.robustness.pipelines import PipelineAttack, check_order, check_requests
from tests.robustness.quick_fabric import QuickFabric
from tests.support.producers_memory import ProducersPool

MANY = 1_000_000
SECONDS = 0.0003
"""For which some steps wait in each call, so that they are often killed in one."""


class DeathAttack(PipelineAttack):
    """A case is a drawn pipeline whose replicas are killed while it plays, some of them in their start-up."""

    limit_s = 300
    long_run = 60
    hangs_after_s = 240
    num_requests = 10_000

    def play_first(self) -> None:
        many, self.num_requests = self.num_requests, 100
        self.play(0)
        self.num_requests = many

    def play(self, seed: int) -> Outcome:
        log, lots = self.folder / f"{seed}.log", random.Random(seed)
        drawn = self.drawn(seed, str(log), lots)
        self.retries = lots.choice([None, None, 20])
        self._pool_class = lots.choice([SlotPool, ProducersPool])
        self._shooter = self.shooter(lots)
        outcome = self.play_drawn(drawn, log)
        outcome.kind = f"{len(drawn.steps)} steps"
        outcome.about = (
            f"{drawn}, retries {self.retries}, {self._pool_class.__name__}, {self._shooter.num_shots} shots"
        )
        return outcome

    def shooter(self, lots: random.Random) -> Shooter:
        return Shooter(lots)

    def drawn(self, seed: int, log: str, lots: random.Random) -> DrawnPipeline:
        return _with_many(_drawn_whole(seed, log), self.num_requests, lots)

    def fabric(self) -> QuickFabric:
        return QuickFabric(self._pool_class)

    def limits(self, drawn: DrawnPipeline) -> Limits:
        return Limits(max_failures=drawn.num_requests, restart=MANY, retries=self.retries)

    def observers(self, drawn: DrawnPipeline) -> Sequence[Observer]:
        return [self._shooter]

    def check(self, outcome: Outcome, drawn: DrawnPipeline, run: Run, log: Path) -> None:
        check_requests(outcome, drawn, run)
        check_order(outcome, drawn, run)
        check_served(outcome, drawn, log, run.requests["attempts"].tolist())
        check_events(outcome, run, self.retries)


def _drawn_whole(seed: int, log: str) -> DrawnPipeline:
    """The first pipeline from there on in which requests stay in one piece."""
    found = (draw(number, log) for number in itertools.count(1000 * abs(seed)))
    return next(one for one in found if all(step.arriving == 1 for step in one.steps))


def steps_of(drawn: DrawnPipeline) -> list[dict[str, Any]]:
    """As the config has them."""
    steps: list[dict[str, Any]] = drawn.config if isinstance(drawn.config, list) else drawn.config["pipeline"]
    return steps


def _with_many(drawn: DrawnPipeline, num_requests: int, lots: random.Random) -> DrawnPipeline:
    for step in steps_of(drawn):
        if lots.random() < 0.2:
            step["recycle_after"] = num_requests // 10
        if lots.random() < 0.5 and "log" in step:
            step["seconds"] = SECONDS
    drawn.load |= {"videos": num_requests, "warmup": 0, "mean_interval_ms": 0}
    drawn.num_requests, drawn.is_in_order = num_requests, False
    return drawn


class Shooter(Observer):
    """Kills replicas, drawn anew each time, whenever so many more requests are done, in a thread of its own.

    One to three of them at a time, so that some are killed in their start-up. That goes by requests and not
    by seconds: on a busy machine nobody would ever get through his start-up.
    """

    name = "shooter"
    most_shots = 3
    share = 1 / 10
    """Of all requests: the most that are done between two times."""
    pause_s = 0.3
    """Between two shots of one time, at most."""
    lead_s = 0.0
    """From the start to the first shot."""

    def __init__(self, lots: random.Random) -> None:
        self._lots, self._pids = lots, dict[str, int]()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._shoot)
        self._num_done: Callable[[], int] = lambda: 0
        self.num_shots = 0

    def prepare(self, watched: Watched) -> None:
        table = watched.table
        self._num_requests = table.num_requests
        self._num_done = lambda: table.count(FINISHED) + table.count(FAILED)

    def start(self, start: Start) -> None:
        self._pids = {name: pid for name, pid in start.pids.items() if name.startswith("step")}

    def begin(self, start_ns: int) -> None:
        self._thread.start()

    def replaced(self, name: str, pid: int) -> None:
        self._pids[name] = pid

    def _shoot(self) -> None:
        due = 0.0
        self._stopping.wait(self.lead_s)
        while not self._stopping.wait(0.002):
            num_done = self._num_done()
            if num_done < due:
                continue
            due = num_done + self._lots.uniform(0, self.share * self._num_requests)
            for _ in range(self._lots.randint(1, self.most_shots)):
                self._kill_one()
                self._stopping.wait(self._lots.uniform(0, self.pause_s))

    def _kill_one(self) -> None:
        if not (targets := self.targets()):
            return
        with contextlib.suppress(ProcessLookupError):  # it is dead already
            os.kill(self._lots.choice(targets), signal.SIGKILL)
            self.num_shots += 1

    def targets(self) -> list[int]:
        return [self._pids[name] for name in sorted(self._pids)]

    def stop(self, end: End) -> Seen:
        self.kill()
        return Seen()

    def kill(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._num_done = lambda: 0  # with which the table goes


def check_served(outcome: Outcome, drawn: DrawnPipeline, log: Path, attempts: Sequence[int]) -> None:
    """Each step that a request must pass has served it at least once, and at most once a try."""
    noted = Counter(tuple(map(int, line.split())) for line in log.read_text().splitlines())
    for request_id in range(drawn.num_requests):
        for note in drawn.notes_of(request_id):
            about = f"(step, request, segment) {note}: {noted[note]} times in {attempts[request_id]} tries"
            outcome.check(noted[note] > 0, Fault.LOST, about)
            outcome.check(noted[note] <= attempts[request_id], Fault.DOUBLED, about)


def check_events(outcome: Outcome, run: Run, retries: int | None) -> None:
    """The log must tell of each try and of each process that came and went."""
    events = rows_of(run.tables[EVENTS])
    of_event = Counter(event["event"] for event in events)
    attempts = run.requests["attempts"].tolist()
    tried = Counter(event["request_id"] for event in events if event["event"] == "tried again")
    wrong = [one for one, attempt in enumerate(attempts) if attempt != 1 + tried[one]]
    outcome.check(not wrong, Fault.WRONG, f"attempts of {wrong[:5]}")
    most = 1 + (MANY if retries is None else retries)
    outcome.check(max(attempts) <= most, Fault.WRONG, f"{max(attempts)} tries")
    failed = {one for one, status in enumerate(run.requests["status"].tolist()) if status == "failed"}
    gave_up = [event["request_id"] for event in events if event["event"] == "gave up"]
    outcome.check(sorted(gave_up) == sorted(failed), Fault.WRONG, f"gave up {gave_up}, failed {failed}")
    reasons = run.requests["reason"].tolist()
    told = [
        one
        for one in range(len(attempts))
        if reasons[one].count("; ") + bool(reasons[one]) != (tried[one] + (one in failed))
    ]
    outcome.check(not told, Fault.WRONG, f"not each reason: {[reasons[one] for one in told[:3]]}")
    _check_lives(outcome, events)
    assert run.meta.jobs is not None
    shown = json.dumps(of_event)
    outcome.check(run.meta.jobs.num_deaths == of_event["died"], Fault.WRONG, shown)
    outcome.check(run.meta.jobs.num_recycled == of_event["recycled"], Fault.WRONG, shown)
    outcome.check(run.meta.jobs.num_tries == sum(tried.values()), Fault.WRONG, shown)


def _check_lives(outcome: Outcome, events: Sequence[dict[str, Any]]) -> None:
    """A process ends at most once, and after each end but the last ones of the run there is another one."""
    ended = Counter(event["pid"] for event in events if event["event"] in ("died", "recycled"))
    outcome.check(max(ended.values(), default=0) <= 1, Fault.DOUBLED, f"ends of processes: {ended}")
    times = [event["at_ns"] for event in events]
    outcome.check(times == sorted(times), Fault.WRONG, "events are out of order")
    began = {event["pid"] for event in events if event["event"] in ("started", "replaced by")}
    outcome.check(set(ended) <= began, Fault.WRONG, f"ended, but never began: {set(ended) - began}")


def rows_of(table: Table) -> list[dict[str, Any]]:
    columns = {name: column.tolist() for name, column in table.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
