"""Slots: tensors allocated and shared once, which one step writes and the next reads.

One pool belongs to one producing replica. Whoever takes a slot owns it until a reader releases it. The writer
waits for its device work before it puts the slot's message into a queue, and the reader before it releases
the slot, so neither touches what the other still uses.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.multiprocessing  # registers how ForkingPickler shares a CUDA tensor

from rnb.shared_memory import SharedMemory
from rnb.stop import StopFlag

POLL_S = 0.2
"""How often a blocked process looks at the stop flag."""


@dataclass(frozen=True, kw_only=True)
class SlotLayout:
    """What one slot holds: tensors of these shapes (the first dimension is the most rows) and one dtype."""

    shapes: tuple[tuple[int, ...], ...]
    dtype: torch.dtype

    def tensor_bytes(self, shape: tuple[int, ...]) -> int:
        # Each tensor starts on a 512-byte boundary, as CUDA's allocations do.
        return math.ceil(math.prod(shape) * self.dtype.itemsize / 512) * 512

    @property
    def num_bytes(self) -> int:
        return sum(self.tensor_bytes(shape) for shape in self.shapes)


class SlotPool:
    """The slots of one replica. The driver makes it, the replica allocates it, its readers attach to it."""

    def __init__(
        self,
        *,
        layout: SlotLayout,
        num_slots: int,
        device: torch.device,
        context: BaseContext,
        stop: StopFlag,
    ) -> None:
        self.layout, self.num_slots, self.device = layout, num_slots, device
        self._stop = stop
        self._free = context.Semaphore(num_slots)
        self._taken = SharedMemory(num_slots)
        # CPU memory comes from the driver and so outlives the producer; GPU memory comes from the producer.
        self._host_memory = SharedMemory(num_slots * layout.num_bytes) if device.type == "cpu" else None
        self._open()

    def _open(self) -> None:
        self._is_taken = self._taken.array("uint8", (self.num_slots,))
        self._threads = threading.Lock()
        self.storage: torch.Tensor | None = None
        self._tensors: list[tuple[torch.Tensor, ...]] = []

    def __getstate__(self) -> dict[str, Any]:
        kept = ("layout", "num_slots", "device", "_stop", "_free", "_taken", "_host_memory")
        return {key: self.__dict__[key] for key in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def allocate(self) -> bytes:
        """Allocate the slots, in the producer; returns what `attach` needs in a reader."""
        if self._host_memory is not None:
            self.attach(b"")
            return b""
        num_bytes = self.num_slots * self.layout.num_bytes
        self._use(torch.zeros(num_bytes, dtype=torch.uint8, device=self.device))
        return bytes(ForkingPickler.dumps(self.storage))

    def attach(self, handle: bytes) -> None:
        """Map the slots in a reader, on whatever device they are."""
        if self._host_memory is not None:
            self._use(torch.frombuffer(self._host_memory.buffer, dtype=torch.uint8))
            return
        self._use(ForkingPickler.loads(handle))

    def detach(self) -> None:
        """Let go of the slots: a reader when it has read its last one, the producer after all readers."""
        self.storage, self._tensors = None, []

    def pin(self) -> None:
        """Page-lock slots in CPU memory, so that a GPU reads them at full speed and asynchronously."""
        if self._host_memory is not None and self.storage is not None:
            pointer, num_bytes = self.storage.data_ptr(), self.storage.numel()
            torch.cuda.check_error(int(torch.cuda.cudart().cudaHostRegister(pointer, num_bytes, 0)))

    def _use(self, storage: torch.Tensor) -> None:
        self.storage = storage
        self._tensors = [self._views(storage, index) for index in range(self.num_slots)]

    def _views(self, storage: torch.Tensor, index: int) -> tuple[torch.Tensor, ...]:
        views, start = [], index * self.layout.num_bytes
        for shape in self.layout.shapes:
            num_bytes = math.prod(shape) * self.layout.dtype.itemsize
            views.append(storage[start : start + num_bytes].view(self.layout.dtype).view(shape))
            start += self.layout.tensor_bytes(shape)
        return tuple(views)

    def tensors(self, index: int) -> tuple[torch.Tensor, ...]:
        """The tensors of a slot, with all their rows."""
        return self._tensors[index]

    def take(self) -> int:
        """Wait for a free slot and own it; raises Stopped when the run ends first."""
        while not self._free.acquire(True, POLL_S):
            self._stop.check()
        with self._threads:
            index = int(self._is_taken.argmin())
            self._is_taken[index] = 1
        return index

    def release(self, index: int) -> None:
        """Give a slot back to its producer. The reader's device work on it must have finished."""
        self._is_taken[index] = 0
        self._free.release()
