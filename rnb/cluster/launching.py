"""An agent as a process of this machine, and nodes that are all this machine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from rnb.processes.launch import Host

HOST = "127.0.0.1"
COMMAND = ("-W", "ignore:resource_tracker:UserWarning", "-m", "rnb.cluster.agent")
"""Of an agent that is killed, Python's resource tracker tells what it has cleaned up: nothing for a user."""
END_TIMEOUT_S = 5.0
UNREACHABLE = 3
"""The exit status of an agent that cannot reach its driver, as where that has ended meanwhile."""


class LaunchedHere:
    """Its standard input is open as long as it is wanted."""

    def __init__(
        self,
        told: str,
        *,
        folder: str,
        path: Sequence[str],
        variables: Mapping[str, str | None] | None = None,
    ) -> None:
        """`told`: the line that it takes; `folder`: where it works; `path`: where it finds modules;
        `variables`: of its environment, None: it is not to have that."""
        self._told = told
        changed = {**os.environ, **(variables or {}), "PYTHONPATH": os.pathsep.join(path)}
        self._process = subprocess.Popen(
            [sys.executable, *COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            env={name: value for name, value in changed.items() if value is not None},
            text=True,
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already: `problem` says so
            self._process.stdin.write(f"{told}\n")
            self._process.stdin.flush()

    def problem(self) -> str | None:
        """How it ended; None: it runs."""
        status = self._process.poll()
        if status == UNREACHABLE:
            return "its agent cannot reach the driver at {}:{}".format(*json.loads(self._told)["driver"])
        return None if status is None else f"its agent ended with exit status {status}"

    def end(self) -> None:
        """Let go of it, and kill it if that is not enough."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class LocalLauncher:
    """All nodes are this machine: for trying out a config, and for tests."""

    def __init__(self, num_nodes: int) -> None:
        self.hosts = [Host(name=f"this machine as node {node}", address=HOST) for node in range(num_nodes)]

    def launch(self, node: int, told: str) -> LaunchedHere:
        return LaunchedHere(told, folder=os.getcwd(), path=sys.path)

    def close(self) -> None:
        """Nothing is kept between runs."""
