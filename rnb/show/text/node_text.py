"""The table of the nodes of a run over several."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.node_use import NodeUse
from rnb.show.text.table import align

HEADER = ("", "on", "clock within", "replicas", "busy", "CPUs", "others at most")


def node_cells(use: NodeUse) -> list[str]:
    """As HEADER has them."""
    bound_ns = use.clock_bound_ns
    return [
        f"node {use.node}",
        use.host,
        "" if bound_ns is None else f"{bound_ns / 1e3:,.0f} us",
        str(use.num_replicas),
        *("" if share is None else f"{share:.0%}" for share in (use.busy, use.cpus, use.others)),
    ]


def node_table(uses: Sequence[NodeUse]) -> str:
    """Which node is where, how well its clock is known, and what it did."""
    return "\n".join(line.rstrip() for line in align([list(HEADER), *map(node_cells, uses)]))
