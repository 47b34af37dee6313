"""Ends what steps have started themselves, also when the driver is killed.

Each child leads a process group, which its own processes belong to. A shell outside of them all is told the
groups, and kills them when its input ends: when the driver says so, or dies.
"""

from __future__ import annotations

import subprocess

_SCRIPT = 'while read all; do groups="$all"; done; test -z "$groups" || kill -s KILL -- $groups'
"""Each line has all groups, as kill takes them."""
_TIMEOUT_S = 5.0


class Guard:
    """Over the process groups of one run."""

    def __init__(self) -> None:
        self._groups: list[int] = []
        self._shell = subprocess.Popen(
            ["sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # of groups of which nobody is left
            start_new_session=True,  # out of reach of the terminal
            text=True,
        )

    def add(self, group: int) -> None:
        """Guard one more group."""
        self._groups.append(group)
        self._tell()

    def drop(self, group: int) -> None:
        """Nobody is left of a group: its number may become that of another."""
        self._groups.remove(group)
        self._tell()

    def _tell(self) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(" ".join(f"-{group}" for group in self._groups) + "\n")
        self._shell.stdin.flush()

    def end(self) -> None:
        """Kill what is left of all groups. May be called twice."""
        self._shell.communicate(timeout=_TIMEOUT_S)
