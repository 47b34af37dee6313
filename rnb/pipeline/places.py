"""Where replicas are, as a config file says it: a GPU's number, "node:GPU", or the same on every node."""

from __future__ import annotations

import re
from typing import Any

from rnb.contract.termination import UsageError

_PLACE = re.compile(r"(\d+):(-1|\d+)")


def placed(group: Any, num_nodes: int) -> Any:
    """A queue group with `gpus` as numbers, and the node of each beside them. Raises UsageError.

    What is no such text is left for the model to complain of.
    """
    if not isinstance(group, dict) or not isinstance(group.get("gpus"), list):
        return group
    if "nodes" in group:
        raise UsageError('nodes: name them in gpus, as "node:GPU"')
    rest = {key: value for key, value in group.items() if key not in ("gpus", "spread")}
    gpus, is_spread = group["gpus"], group.get("spread", False)
    if type(is_spread) is not bool:
        raise UsageError(f"spread: {is_spread!r}: must be true or false")
    places = _on_each_node(gpus, num_nodes) if is_spread else [_place(gpu) for gpu in gpus]
    nodes = [node for node, _ in places]
    return {**rest, "gpus": [gpu for _, gpu in places], **({"nodes": nodes} if any(nodes) else {})}


def _on_each_node(gpus: list[Any], num_nodes: int) -> list[tuple[int, Any]]:
    if any(isinstance(gpu, str) for gpu in gpus):
        raise UsageError(f"spread: the replicas of {gpus} have their nodes already")
    return [(node, gpu) for node in range(num_nodes) for gpu in gpus]


def _place(gpu: Any) -> tuple[int, Any]:
    if not isinstance(gpu, str):
        return 0, gpu
    match = _PLACE.fullmatch(gpu)
    if match is None:
        raise UsageError(f'gpus: \'{gpu}\': must be a GPU\'s number or "node:GPU", as "1:0"; -1 is the CPU')
    return int(match[1]), int(match[2])
