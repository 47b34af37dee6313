"""What `play` needs to play a run to a server: the client processes, and those of the server itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rnb.remote.client import RemoteTask, run_remote_client
from rnb.remote.served import Served
from rnb.remote.server_process import server_pids


class RemoteClients:
    """See Clients."""

    modules = ("rnb.remote.client",)

    def __init__(self, served: Served, paths: tuple[str, ...]) -> None:
        """`paths`: the different files that requests are about."""
        self._served, self._paths = served, paths

    @property
    def run(self) -> Callable[[Any], None]:
        return run_remote_client

    def task(self, **common: Any) -> RemoteTask:
        served = self._served
        return RemoteTask(
            address=served.address,
            server=served.flags,
            inputs=served.inputs,
            outputs=served.outputs,
            is_binary=served.has_binary,
            paths=self._paths,
            data=served.spec.load.data,
            seed=served.spec.load.seed,
            **common,
        )

    def beside(self) -> Mapping[str, int]:
        return server_pids(self._served.address)
