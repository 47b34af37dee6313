"""The processes that a trace lists; the run as a whole, the CPU and the GPUs are some too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Run
from rnb.show.trace.writer import TraceWriter

RUN, CLIENT, DRIVER, _CPU, _FIRST_GPU, _FIRST_CLIENT, _FIRST_REPLICA = 1, 2, 3, 4, 5, 30, 50
_LEAST_PID = 100
"""A replica keeps the number that its process had, unless that could be one of ours (in a container, say)."""
_NODE = 2**22
"""The numbers of a node's processes begin at so many times its own: Linux gives none that is higher."""


class Processes:
    """Names each process once, when it is first used, and knows their numbers."""

    def __init__(self, run: Run, writer: TraceWriter) -> None:
        self._writer = writer
        self._names: dict[int, str] = {}
        self._replicas: dict[tuple[int, int], int] = {}
        self._titles = {node["node"]: _title(node) for node in run.meta.nodes}
        self.name(RUN, "run")
        self.name(CLIENT, "client")
        for node in self._titles:
            self._on(node, _CPU, "CPU")
        for number, replica in enumerate(run.meta.replicas, _FIRST_REPLICA):
            pid = replica.get("pid") or 0
            pid = pid if pid >= _LEAST_PID else number
            place = "CPU" if replica["device"] == "cpu" else f"GPU {replica['gpu']}"
            step_name = run.meta.step_names[replica["step"]]
            name = f"step {replica['step']}.{replica['replica']} {step_name}, {place}"
            self._replicas[replica["step"], replica["replica"]] = self._on(replica.get("node", 0), pid, name)

    def name(self, pid: int, name: str) -> int:
        """Name a process unless it has a name; returns its number."""
        if pid not in self._names:
            self._names[pid] = name
            self._writer.name_process(pid, name)
        return pid

    def _on(self, node: int, pid: int, name: str) -> int:
        """Name a process of a node, with the node where there are several."""
        title = self._titles.get(node)
        return self.name(node * _NODE + pid, f"{title}: {name}" if title else name)

    def of_replicas(self, step: int) -> NDArray[np.int64]:
        """The number of each replica of a step."""
        numbers = {replica: pid for (of, replica), pid in self._replicas.items() if of == step}
        return np.array([numbers[replica] for replica in sorted(numbers)], dtype=np.int64)

    def of_replica(self, step: int, replica: int) -> int:
        return self._replicas[step, replica]

    def of_gpu(self, gpu: int, node: int = 0) -> int:
        return self._on(node, _FIRST_GPU + gpu, f"GPU {gpu}")

    def of_telemetry(self, place: str, node: int = 0) -> int | None:
        """Whose a column is: 'cpu', 'gpu0', 'process.step 0.1', '' (the run's); None where it is nobody's."""
        if match := re.fullmatch(r"gpu(\d+)", place):
            return self.of_gpu(int(match[1]), node)
        if match := re.fullmatch(r"process\.(client (\d+))", place):
            return self.name(_FIRST_CLIENT + int(match[2]), match[1])
        if match := re.fullmatch(r"process\.step (\d+)\.(\d+)", place):
            return self._replicas.get((int(match[1]), int(match[2])))
        known = {
            "cpu": (_CPU, "CPU"),
            "process.driver": (DRIVER, "driver"),
            "process.agent": (DRIVER, "agent"),
        }
        if place in known:
            return self._on(node, *known[place])
        return {"": RUN, "process.client": CLIENT}.get(place)


def _title(node: Mapping[str, Any]) -> str:
    """A node and its machine, with how well the times there are known."""
    bound = f", times known to {node['clock']['bound_ns'] / 1e3:,.0f} us" if node.get("clock") else ""
    return f"node {node['node']} ({node.get('host', '')}{bound})"
