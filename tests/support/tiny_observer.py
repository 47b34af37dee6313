"""An observer for tests: it notes what it is told, and leaves something of each kind."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass, field

import numpy as np

from rnb.contract.probe import Tell
from rnb.observe.observer import End, Observer, Seen, Start, Watched
from rnb.pipeline.plan import Plan
from rnb.record.run import Run


@dataclass
class TinyProbe:
    """Tells the driver when its runner gets ready, and when its work is done."""

    observer: str
    calls: list[str] = field(default_factory=list)

    def prepare(self, tell: Tell) -> None:
        self._tell = tell
        self.calls.append("prepare")
        tell({"name": multiprocessing.current_process().name, "pid": os.getpid()})

    def start(self, start_ns: int) -> None:
        self.calls.append("start")
        self._start_ns = start_ns

    def stop(self) -> None:
        self._tell({"calls": [*self.calls, "stop"], "start_ns": self._start_ns})


class TinyObserver(Observer):
    """Leaves the table `tiny`, a note and a fact."""

    name = "tiny"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.watched: Watched | None = None
        self.begun: Start | None = None
        self.start_ns = 0
        self.end: End | None = None
        self.files: set[str] = set()
        """What was in the run's folder when that was written."""

    def probe(self, plan: Plan) -> TinyProbe:
        self.calls.append("probe")
        return TinyProbe(self.name)

    def prepare(self, watched: Watched) -> None:
        self.calls.append("prepare")
        self.watched = watched

    def start(self, start: Start) -> None:
        self.calls.append("start")
        self.begun = start

    def begin(self, start_ns: int) -> None:
        self.calls.append("begin")
        self.start_ns = start_ns

    def look(self) -> None:
        if self.calls[-1] != "look":
            self.calls.append("look")

    def stop(self, end: End) -> Seen:
        self.calls.append("stop")
        self.end = end
        return Seen(
            tables={self.name: {"number": np.arange(3)}}, notes=["tiny: a note"], facts={"tiny": {"size": 3}}
        )

    def kill(self) -> None:
        self.calls.append("kill")

    def conclude(self, run: Run) -> None:
        self.calls.append("conclude")
        if run.folder is not None:
            self.files = {path.name for path in run.folder.iterdir()}
