"""A table of samples that several nodes have taken: the rows of each, and a column that says which."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnb.record.run import Table

NODE = "node"


def joined(parts: Mapping[int, Table]) -> Table:
    """The samples of each node, one node after the other; NaN where a node does not have that column."""
    counts = {node: len(part["time_ns"]) for node, part in parts.items()}
    names = dict.fromkeys(name for part in parts.values() for name in part if name != "time_ns")
    columns = {
        name: np.concatenate([part.get(name, np.full(counts[node], np.nan)) for node, part in parts.items()])
        for name in names
    }
    times_ns = np.concatenate([part["time_ns"] for part in parts.values()])
    return {"time_ns": times_ns, NODE: np.repeat(list(counts), list(counts.values())), **columns}


def by_node(table: Table) -> dict[int, Table]:
    """Of each node, its own columns; a table without the column is of node 0. None of an empty one."""
    if not table:
        return {}
    if NODE not in table:
        return {0: table}
    columns = {name: values for name, values in table.items() if name != NODE}
    rows = {int(node): table[NODE] == node for node in np.unique(table[NODE])}
    return {node: _own({name: one[its] for name, one in columns.items()}) for node, its in rows.items()}


def _own(table: Table) -> Table:
    """Without the columns of devices and processes of which nothing is known here."""
    places = {name.rpartition(".")[0] for name, values in table.items() if not np.isnan(values).all()}
    return {name: values for name, values in table.items() if name.rpartition(".")[0] in places}
