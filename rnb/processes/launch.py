"""How the driver launches agents: on each node one, and another one where that is gone."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rnb.contract.termination import Termination, UsageError
from rnb.transport.fabric import Stop, Stopped
from rnb.transport.tcp.handshake import accept, listen

JOIN_TIMEOUT_S = 120.0
"""How long an agent may take to start."""
REJOIN_TIMEOUT_S = 25.0
"""The same of one in the place of another, from the death of that."""
END_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine of the cluster."""

    name: str
    address: str
    """Where the other ones reach it."""


class Launched(Protocol):
    """A process on another node."""

    def problem(self) -> str | None:
        """Why it could not start, or how it ended, in words; None: it runs."""

    def end(self) -> None:
        """Kill it, if it is still there; what it has started ends with it."""


class Launcher(Protocol):
    """Starts a process on each node of a run."""

    @property
    def hosts(self) -> Sequence[Host]:
        """Of each node; the first is the driver's."""

    def launch(self, node: int, told: str) -> Launched:
        """Start an agent (rnb/cluster/agent.py) there, with one line on its standard input."""


def launch(launcher: Launcher, node: int, listening: socket.socket, told: Mapping[str, Any]) -> Launched:
    """One that connects to the driver, which listens. `told`: what each is told besides."""
    address = [launcher.hosts[0].address, listening.getsockname()[1]]
    return launcher.launch(node, json.dumps({"driver": address, "node": node, **told}))


class Patience:
    """A Stop for who waits for agents: it is over when one of them has ended, or takes too long."""

    def __init__(
        self,
        stop: Stop,
        *,
        missing: Callable[[], Mapping[int, Launched]],
        timeout_s: float,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """`missing`: those that are waited for, by node; `tick`: is called often."""
        self._stop, self._missing, self._tick = stop, missing, tick
        self._timeout_s, self._deadline = timeout_s, time.monotonic() + timeout_s

    @property
    def reason(self) -> Termination:
        return self._stop.reason

    def raise_flag(self, reason: Termination) -> None:
        self._stop.raise_flag(reason)

    def check(self) -> None:
        """Raises UsageError, Stopped."""
        self._tick()
        self._stop.check()
        for node, launched in self._missing().items():
            if (problem := launched.problem()) is not None:
                raise UsageError(f"--cluster: node {node}: {problem}")
            if time.monotonic() > self._deadline:
                raise UsageError(f"--cluster: node {node}: no word from its agent in {self._timeout_s:g} s")


class Relaunch:
    """A new agent in the place of one that is gone: in a thread, as all of it may take seconds."""

    def __init__(
        self, launcher: Launcher, node: int, before: Launched, *, told: Mapping[str, Any], stop: Stop
    ) -> None:
        self._launcher, self._node, self._before, self._told = launcher, node, before, told
        self._stop, self.launched = stop, before
        self._connected: socket.socket | None = None
        self.problem: str | None = None
        """Why there is none."""
        self._patience = Patience(stop, missing=lambda: {node: self.launched}, timeout_s=REJOIN_TIMEOUT_S)
        self._thread = threading.Thread(target=self._run, name=f"node {node}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._before.end()  # what is left of it
            with listen(self._launcher.hosts[0].address) as listening:
                self.launched = launch(self._launcher, self._node, listening, self._told)
                token = bytes.fromhex(self._told["token"])
                self._connected, _ = accept(listening, token, self._patience)
        except Stopped:
            pass
        except Exception as error:  # of Ray, say
            self.launched.end()
            self.problem = str(error).removeprefix("--cluster: ").removeprefix(f"node {self._node}: ")

    def take(self) -> socket.socket | None:
        """The connection to it, once; None: there is none yet."""
        connected, self._connected = self._connected, None
        return connected

    def end(self) -> None:
        """The run is over, or the agent too: leave nothing of it."""
        self._thread.join(END_TIMEOUT_S)
        if self._connected is not None:
            self._connected.close()
        self.launched.end()
