"""Agents on the nodes of a Ray cluster. Ray starts them and tells when one is gone; no data crosses it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import Any

from rnb.cluster.launching import LaunchedHere
from rnb.contract.termination import UsageError
from rnb.processes.launch import Host

INSTALL = "pip install 'rnb[cluster]'"
CALL_TIMEOUT_S = 15.0
REACH_TIMEOUT_S = 5.0
NAMESPACE = "rnb"
SET_BY_RAY = "OMP_NUM_THREADS"
"""It is 1 for what has one CPU reserved."""


class RayLauncher:
    """Node 0 is the one that this process is on; the others follow by address and id."""

    def __init__(self, address: str) -> None:
        """Raises UsageError where there is no such cluster."""
        self._ray = _ray()
        _reach(address)
        try:
            self._ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="error")
        except Exception as error:  # ConnectionError, RuntimeError, ValueError, RayError
            raise UsageError(f"--cluster {address}: {_why_not(error)}") from None
        own = self._ray.get_runtime_context().get_node_id()
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        alive.sort(key=lambda node: (node["NodeID"] != own, node["NodeManagerAddress"], node["NodeID"]))
        self._ids = [node["NodeID"] for node in alive]
        self.hosts = [
            Host(name=node["NodeManagerHostname"], address=node["NodeManagerAddress"]) for node in alive
        ]
        self._gpus = [int(node["Resources"].get("GPU", 0)) for node in alive]

    def launch(self, node: int, told: str) -> LaunchedByRay:
        return LaunchedByRay(self._ray, self._ids[node], self._gpus[node], told)


class LaunchedByRay:
    """An actor that holds the agent, in a placement group on its node alone."""

    def __init__(self, ray: Any, node_id: str, num_gpus: int, told: str) -> None:
        self._ray, self._node_id = ray, node_id
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        bundle = {"CPU": 1.0, **({"GPU": num_gpus} if num_gpus else {})}
        self._group = placement_group(
            [bundle], strategy="STRICT_SPREAD", bundle_label_selector=[{"ray.io/node-id": node_id}]
        )
        actor = ray.remote(max_restarts=0, num_cpus=1, num_gpus=num_gpus)(LaunchedHere)
        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=0)
        self._actor = actor.options(scheduling_strategy=strategy).remote(
            told,
            folder=os.getcwd(),
            path=[path for path in sys.path if path],
            variables={SET_BY_RAY: os.environ.get(SET_BY_RAY)},
        )
        self._asked: Any = None

    def problem(self) -> str | None:
        """Why it could not start, or how it ended, in words; None: it runs, or is still to start."""
        self._asked = self._asked or self._actor.problem.remote()
        done, _ = self._ray.wait([self._asked], timeout=0)
        if not done:
            return None if self._is_node_there() else "Ray says that it is dead"
        asked, self._asked = self._asked, None
        try:
            problem: str | None = self._ray.get(asked)
        except Exception as error:
            return f"Ray could not start its agent: {str(error).strip().splitlines()[0]}"
        return problem

    def _is_node_there(self) -> bool:
        """As far as Ray knows, which may be late."""
        return any(node["Alive"] and node["NodeID"] == self._node_id for node in self._ray.nodes())

    def end(self) -> None:
        """Let go of the agent, and of what was reserved for it."""
        with contextlib.suppress(Exception):  # the node may be gone, or Ray
            if self._is_node_there():
                self._ray.get(self._actor.end.remote(), timeout=CALL_TIMEOUT_S)
        from ray.util.placement_group import remove_placement_group

        with contextlib.suppress(Exception):
            self._ray.kill(self._actor)
            remove_placement_group(self._group)


def _reach(address: str) -> None:
    """Ray itself waits for minutes where nobody listens, and then ends this process."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f"--cluster {address}: must be auto, host:port as ray start prints it, or local:N")
    try:
        socket.create_connection((host, int(port)), REACH_TIMEOUT_S).close()
    except OSError as error:
        raise UsageError(f"--cluster {address}: no Ray cluster there: {error}") from None


def _why_not(error: BaseException) -> str:
    """In one line; Ray tells of a token in the cause alone."""
    if "authentication token" in f"{error} {error.__cause__}".lower():
        return "its Ray asks for a token that this process does not show: set RAY_AUTH_MODE=token"
    return f"no Ray cluster there: {str(error).strip().splitlines()[0]}"


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError(f"--cluster: needs Ray: {INSTALL}") from None
    return ray
