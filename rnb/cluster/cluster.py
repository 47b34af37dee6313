"""The machines that --cluster names."""

from __future__ import annotations

import functools
import re

from rnb.cluster.launching import LocalLauncher
from rnb.contract.termination import UsageError
from rnb.processes.launch import Launcher

_LOCAL = re.compile(r"local:([1-9]\d{0,2})")


@functools.cache
def cluster_at(address: str) -> Launcher:
    """As --cluster has it. Raises UsageError.

    It is asked once: the nodes of a command have the same numbers in all its runs.
    """
    if address.startswith("local"):
        match = _LOCAL.fullmatch(address)
        if match is None:
            raise UsageError(f"--cluster {address}: say local:N, with N from 1 to 999")
        return LocalLauncher(int(match[1]))
    from rnb.cluster.ray_cluster import RayLauncher

    return RayLauncher(address)
