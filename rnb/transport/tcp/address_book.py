"""Where other nodes listen, for all processes of a node: known only once those have been started."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Address = tuple[str, int]
_PORT_BYTES, _HOST_BYTES = 2, 256


class AddressBook:
    """In an array in shared memory, with a row for each node."""

    def __init__(self, nodes: Sequence[int], share: Callable[[Any], Any]) -> None:
        """`nodes`: those that are looked up; `share`: as `Fabric.numbers`."""
        self._nodes = tuple(nodes)
        self._rows = share(np.zeros((len(self._nodes), _PORT_BYTES + _HOST_BYTES), np.uint8))

    def write(self, addresses: Mapping[int, Address]) -> None:
        """By the node."""
        for row, node in zip(self._rows.values, self._nodes, strict=True):
            host, port = addresses[node]
            data = port.to_bytes(_PORT_BYTES, "little") + host.encode()
            row[: len(data)] = np.frombuffer(data, np.uint8)

    def read(self, node: int) -> Address:
        data = self._rows.values[self._nodes.index(node)].tobytes()
        host = data[_PORT_BYTES:].rstrip(b"\0").decode()
        return host, int.from_bytes(data[:_PORT_BYTES], "little")
