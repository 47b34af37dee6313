"""The machines on which a run was watched, each with its telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnb.record.meta import RunMeta
from rnb.record.over_nodes import by_node
from rnb.record.run import Run, Table
from rnb.record.tables import TELEMETRY


@dataclass(frozen=True, kw_only=True)
class WatchedNode:
    node: int | None
    """None: it is the run's only machine."""
    telemetry: Table
    provenance: Mapping[str, Any]

    def title(self, device: str) -> str:
        """What a device of it is called among those of all nodes."""
        return device if self.node is None else f"{device} of node {self.node}"

    def is_one_machine_with(self, other: WatchedNode) -> bool:
        """Whether the same kernel runs both, on the same CPUs."""
        keys = ("boot_id", "cpu_affinity")
        return all(self.provenance.get(key) == other.provenance.get(key) is not None for key in keys)


def watched_nodes(run: Run) -> list[WatchedNode]:
    """Those that there is telemetry of, in the order of the nodes."""
    return nodes_of(run.meta, run.tables.get(TELEMETRY, {}))


def nodes_of(meta: RunMeta, telemetry: Table) -> list[WatchedNode]:
    """Those that a run's table of telemetry tells of."""
    return [
        WatchedNode(
            node=node if meta.nodes else None,
            telemetry=table,
            provenance=provenance_of(meta, node),
        )
        for node, table in by_node(telemetry).items()
    ]


def provenance_of(meta: RunMeta, node: int) -> Mapping[str, Any]:
    """What is known of a node's machine; that of node 0 is the run's own."""
    if node == 0:
        return meta.provenance
    found: Mapping[str, Any] = next((one for one in meta.nodes if one["node"] == node), {})
    return found.get("provenance") or {}
