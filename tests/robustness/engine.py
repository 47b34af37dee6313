"""Plays the cases of an attack in processes of their own, so that a crash or a hang is one case's fault."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from tests.robustness.attack import Attack, Fault, Outcome

START_LIMIT_S = 120
"""Making an attack may take so long: it imports torch, encodes videos."""


def attack(
    kind: type[Attack], seeds: Iterable[int], *, processes: int = 1, seconds: float = float("inf")
) -> Iterator[tuple[int, Outcome]]:
    """Play the cases of these seeds, as far as they come in so many seconds; gives each as it ends."""
    left, until = iter(seeds), time.monotonic() + seconds
    players: list[_Player] = []
    try:
        while True:
            while len(players) < processes and time.monotonic() < until:
                seed = next(left, None)
                if seed is None:
                    break
                players.append(_Player(kind, seed))
            if not players:
                return
            timeout_s = max(0.0, min(player.deadline for player in players) - time.monotonic())
            ready = connection.wait([player.connection for player in players], timeout_s)
            for player in list(players):
                if (ended := player.ended(player.connection in ready)) is None:
                    continue
                yield player.seed, ended
                following = next(left, None) if time.monotonic() < until else None
                if following is None or not player.goes_on(following):
                    players.remove(player)
                    player.end()
                    if following is not None:
                        players.append(_Player(kind, following))
    finally:
        for player in players:
            player.end()


class _Player:
    """A process that plays one case after the other."""

    def __init__(self, kind: type[Attack], seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._folder = tempfile.mkdtemp(prefix="rnb-torture-")
        self._process: SpawnProcess = context.Process(target=_play_all, args=(kind, self._folder, theirs))
        self._process.start()
        theirs.close()
        self._limit_s, self._is_alive = kind.limit_s, True
        self.goes_on(seed)
        self.deadline = time.monotonic() + START_LIMIT_S

    def goes_on(self, seed: int) -> bool:
        """Give it the next case; False when it cannot play any more."""
        self.seed, self.deadline = seed, time.monotonic() + self._limit_s
        if self._is_alive:
            self.connection.send(seed)
        return self._is_alive

    def ended(self, is_ready: bool) -> Outcome | None:
        """What became of its case; None while it plays."""
        if is_ready:
            try:
                outcome: Outcome | None = self.connection.recv()
                if outcome is None:  # it is made, and begins
                    self.deadline = time.monotonic() + self._limit_s
                return outcome
            except (EOFError, OSError):
                self._is_alive = False
                self._process.join()
                return Outcome("-", [(Fault.CRASH, f"exit code {self._process.exitcode}")])
        if time.monotonic() < self.deadline:
            return None
        self._is_alive = False
        return Outcome("-", [(Fault.HANGING, f"after {self._limit_s:g} s")])

    def end(self) -> None:
        """With all processes that it started."""
        with contextlib.suppress(ProcessLookupError):  # it may end before it has a group of its own
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self.connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _play_all(kind: type[Attack], folder: str, line: connection.Connection) -> None:
    os.setsid()
    own = Path(folder) / "own"
    own.mkdir()
    playing = kind(own)
    line.send(None)
    while True:
        try:
            seed = line.recv()
        except EOFError:
            return
        try:
            outcome = playing.play(seed)
        except Exception:
            outcome = Outcome("-", [(Fault.TRACEBACK, traceback.format_exc())])
        line.send(outcome)
