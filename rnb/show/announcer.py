"""What a run says while it plays: what its steps tell of themselves, its start, its end."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.observe.observer import End, Observer, Seen, Start, Watched
from rnb.record.start_up import Phase
from rnb.show.console import detail, is_verbose, say


class Announcer(Observer):
    """Prints the seed's lines about the timed part; but for the start, only where they are asked for."""

    name = "announcer"

    def __init__(self) -> None:
        self._watched: Watched | None = None

    def prepare(self, watched: Watched) -> None:
        self._watched = watched

    def start(self, start: Start) -> None:
        assert self._watched is not None
        for line in _facts(self._watched, start):
            say(line)
        if start.phases and is_verbose():
            from rnb.show.text.start_up_text import start_up_text

            say(start_up_text(start.phases, {**_elsewhere(start.phases), **_kinds(self._watched)}))

    def begin(self, start_ns: int) -> None:
        assert self._watched is not None
        say(f"START! {(start_ns + self._watched.clock.epoch_offset_ns()) / 1e9:f}")

    def stop(self, end: End) -> Seen:
        assert self._watched is not None
        if end.is_complete:
            detail(f"Finished processing {self._watched.table.num_requests} videos")
        detail(f"FINISH! {(end.time_ns + self._watched.clock.epoch_offset_ns()) / 1e9:f}")
        detail(f"That took {(end.time_ns - end.start_ns) / 1e9:f} seconds")
        detail("Waiting for child processes to return...")
        return Seen()


def _elsewhere(phases: Sequence[Phase]) -> dict[str, str]:
    """The replicas of other nodes, and some that are not."""
    names = {phase.process for phase in phases if phase.process.startswith("step ")}
    return {name: f"{name.partition('.')[0]} on other nodes" for name in names}


def _kinds(watched: Watched) -> dict[str, str]:
    """What the processes of replicas are alike in."""
    return {
        replica.name: f"step {replica.step} on {'a GPU' if replica.device.is_gpu else 'the CPU'}"
        for replica in watched.plan.replicas
    }


def _facts(watched: Watched, start: Start) -> list[str]:
    """What the steps have told of themselves, once where replicas tell the same."""
    told = {
        f"step {replica.step}: " + ", ".join(f"{name} {value}" for name, value in facts.items())
        for replica in watched.plan.replicas
        if (facts := start.facts.get(replica.name))
    }
    return sorted(told)
