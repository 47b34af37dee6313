"""Slots that go with the process that allocated them, as those on a GPU do, in the memory of the CPU."""

from __future__ import annotations

import mmap
import os
from typing import Any

import torch

from rnb.transport.local.shared_memory import SharedMemory
from rnb.transport.local.slots import SlotPool


class ProducersPool(SlotPool):
    """Others map its slots through its producer, and cannot when that is gone."""

    def __init__(self, **what: Any) -> None:
        super().__init__(**what)
        self._host_memory = None

    def _make(self, num_bytes: int) -> tuple[torch.Tensor, bytes]:
        self._own = SharedMemory(num_bytes)
        path = f"/proc/{os.getpid()}/fd/{self._own._fd}"
        return torch.frombuffer(self._own.buffer, dtype=torch.uint8), path.encode()

    def _map(self, handle: bytes) -> torch.Tensor:
        file = os.open(handle, os.O_RDWR)  # an error where its producer is gone
        try:
            return torch.frombuffer(mmap.mmap(file, 0), dtype=torch.uint8)
        finally:
            os.close(file)
