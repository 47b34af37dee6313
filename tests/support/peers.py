"""Systems that do no work, for what is done with any peer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.peer import CannotRun, Peer, Played, wait_until
from benchmarks.peers.work import Arrival, Work

NUM_CLASSES = 3
STARTED = "started"
"""The file beside the videos that has the pid of a process which `Forgetful` leaves behind."""


class Prompt(Peer):
    """Answers each request when it is due."""

    def start(self) -> None:
        """There is nothing to start."""

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        start_s = time.monotonic()
        finish_s: list[float | None] = []
        for arrival in arrivals:
            wait_until(arrival.due_s, start_s)
            finish_s.append(time.monotonic() - start_s)
        return Played(finish_s=finish_s, labels=[arrival.request % NUM_CLASSES for arrival in arrivals])


class Lacking(Prompt):
    def start(self) -> None:
        raise CannotRun("needs what nobody has")


class Forgetful(Prompt):
    """Starts a process that leaves it, and fails in the play after the first."""

    def start(self) -> None:
        self._num_plays = 0
        script = "setsid sleep 1000 > /dev/null & echo $!"
        shell = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=True)
        Path(self.work.videos[0]).with_name(STARTED).write_text(shell.stdout)

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        self._num_plays += 1
        if self._num_plays > 2:  # the first warms up
            self.fail()
        return super().play(arrivals)

    def fail(self) -> None:
        raise RuntimeError("the server ended")


class Endless(Forgetful):
    """Never ends that play."""

    def fail(self) -> None:
        time.sleep(1000)


def small_work(folder: Path, *, num_videos: int = 4, **changes: object) -> Work:
    """For peers that look at no video."""
    given = {
        "config": "config/r2p1d-cpu.json",
        "device": "cpu",
        "videos": [str(folder / f"{number}.mp4") for number in range(num_videos)],
        "samples": [str(folder / "sample.mp4")],
        "cores": [0],
        "workers": 1,
    }
    return Work(**{**given, **changes})  # type: ignore[arg-type]
