"""Rows of slots from this node's memory into slots of another by NIXL, in the place of a socket.

    https://github.com/ai-dynamo/nixl

It takes the quickest way that UCX finds between both: RDMA where there is such a network, else TCP.
"""

from __future__ import annotations

import itertools
import os
import pickle
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnb.contract.termination import UsageError
from rnb.transport.fabric import Pool, Stop
from rnb.transport.tcp.connection import SILENCE_S, Cut

if TYPE_CHECKING:
    import torch

NIXL = "nixl"
CARRIERS = ("tcp", NIXL)
"""What brings the rows of slots to another node."""
INSTALL = "pip install 'rnb[nixl]'"
BACKEND = "UCX"
POLL_INTERVAL_S = 10e-6


def check_nixl() -> None:
    """Raises UsageError where it is not installed."""
    _nixl()


class Nixl:
    """This end of what two bridges have between them."""

    def __init__(self, name: str, stop: Stop) -> None:
        agent, config = _nixl()
        self._agent, self._stop = agent(name, config(backends=[BACKEND])), stop
        self._places: dict[int, list[list[int]]] = {}

    def offer(self, pools: Mapping[int, Pool]) -> bytes:
        """What the other end has to be told to write into the slots of these channels."""
        places = {}
        for channel, pool in pools.items():
            slots = slots_of(pool)
            self.register(itertools.chain(*slots))
            places[channel] = [[tensor.data_ptr() for tensor in tensors] for tensors in slots]
        return pickle.dumps((self._agent.get_agent_metadata(), places))

    def register(self, tensors: Iterable[torch.Tensor]) -> None:
        """Memory on the CPU that is read or written."""
        places = [(tensor.data_ptr(), tensor.nbytes, 0, "") for tensor in tensors if tensor.nbytes]
        self._agent.register_memory(places, "DRAM")

    def join(self, told: bytes | bytearray) -> None:
        """With what the other end has offered."""
        metadata, self._places = pickle.loads(told)
        self._peer = self._agent.add_remote_agent(metadata).decode()

    def write(self, channel: int, slot: int, buffers: Sequence[memoryview]) -> None:
        """Write rows that are registered into a slot there; returns when they are there. Raises Cut."""
        ours, theirs = [], []
        for buffer, address in zip(buffers, self._places[channel][slot], strict=True):
            if len(buffer):
                ours.append((np.frombuffer(buffer, np.uint8).ctypes.data, len(buffer), 0))
                theirs.append((address, len(buffer), 0))
        if ours:
            self._transfer(ours, theirs)

    def _transfer(self, ours: Any, theirs: Any) -> None:
        agent, deadline = self._agent, time.monotonic() + SILENCE_S
        here, there = (agent.get_xfer_descs(one, "DRAM") for one in (ours, theirs))
        handle = agent.initialize_xfer("WRITE", here, there, self._peer)
        try:
            state = agent.transfer(handle)
            while state == "PROC":
                self._stop.check()
                if time.monotonic() > deadline:
                    raise Cut(f"NIXL wrote nothing for {SILENCE_S:g} s")
                time.sleep(POLL_INTERVAL_S)
                state = agent.check_xfer_state(handle)
        finally:
            agent.release_xfer_handle(handle)
        if state != "DONE":
            raise Cut(f"NIXL could not write: {state}")


def slots_of(pool: Pool) -> list[tuple[torch.Tensor, ...]]:
    return [pool.tensors(slot) for slot in range(pool.num_slots)]


def _nixl() -> tuple[Any, Any]:
    os.environ.setdefault("NIXL_LOG_LEVEL", "WARN")  # else it tells of each agent
    try:
        from nixl import nixl_agent, nixl_agent_config
    except ImportError:
        raise UsageError(f"--carrier nixl: needs NIXL: {INSTALL}") from None
    return nixl_agent, nixl_agent_config
