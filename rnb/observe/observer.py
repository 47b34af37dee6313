"""What watches a run: one protocol, and a list of those that do.

An observer may leave tables (each becomes a Parquet file of the run folder), notes (what was asked for and
could not be had), and facts about where the run took place. `--observe module.Class` adds one of the user's
own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from rnb.contract.probe import Probe
from rnb.pipeline.plan import Plan
from rnb.record.run import Run
from rnb.record.start_up import Phase
from rnb.transport.fabric import Clock, Queue, Table

Columns = dict[str, NDArray[Any]]
Told = Mapping[str, Sequence[Any]]
"""What an observer's probes have told, by the name of the runner."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The run that is watched."""

    plan: Plan
    table: Table
    queues: Sequence[Queue]
    """Those of the plan."""
    payloads: Sequence[str]
    """What each request is about: the path of a video, say."""
    data: str
    """The folder of the payloads."""
    num_warmup: int
    """How many requests, the first ones, do not count."""
    clock: Clock
    warn: Callable[[str], None] = lambda line: None
    """Shows the user a line at once."""

    def depths(self) -> list[int]:
        """How many messages wait for each step."""
        return [
            sum(self.queues[queue].depth() for queue in self.plan.queues_before(step))
            for step in range(self.plan.num_steps)
        ]


@dataclass(frozen=True, kw_only=True)
class Start:
    """The processes are ready; the timed part is about to begin."""

    pids: Mapping[str, int]
    """By the name of the process."""
    facts: Mapping[str, Mapping[str, Any]]
    """What the step of a replica told of itself, by the name of its process."""
    told: Told
    phases: Sequence[Phase] = ()
    """What the processes did until now."""


@dataclass(frozen=True, kw_only=True)
class End:
    """The timed part is over; the processes are still there."""

    start_ns: int
    time_ns: int
    is_complete: bool
    """Whether every request has an outcome."""
    told: Told


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What an observer leaves."""

    tables: dict[str, Columns] = field(default_factory=dict)
    """By name; each by column."""
    notes: list[str] = field(default_factory=list)
    """What was asked for and could not be had, a line each."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For the provenance in run.json, as JSON."""


class Observer:
    """Watches one run; the calls come in the order in which they stand here. By default each does nothing."""

    name = ""

    def probe(self, plan: Plan) -> Probe | None:
        """What is to be done in each runner process."""
        return None

    def prepare(self, watched: Watched) -> None:
        """While the processes get ready: open what takes a while to open."""

    def start(self, start: Start) -> None:
        """When all processes are ready; the timed part waits until all observers are, too."""

    def begin(self, start_ns: int) -> None:
        """The processes have been told that the timed part begins at this time, in a few ms."""

    def look(self) -> None:
        """Twenty times a second while it plays."""

    def replaced(self, name: str, pid: int) -> None:
        """Another process has taken the place of a replica's, by its name; see rnb/processes/recovery.py."""

    def stop(self, end: End) -> Seen:
        """When it is over. Not called for a run that never started."""
        return Seen()

    def kill(self) -> None:
        """Leave nothing behind, however the run ended."""

    def conclude(self, run: Run) -> None:
        """The run is in its folder."""
