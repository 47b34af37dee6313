"""Slots: tensors allocated and shared once, which one step writes and the next reads.

One pool belongs to one producing replica. Whoever takes a slot owns it until a reader releases it. The writer
waits for its device work before it puts the slot's message into a queue, and the reader before it releases
the slot, so neither touches what the other still uses.
"""

from __future__ import annotations

import threading
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

from rnb.contract.device import Device
from rnb.contract.request import Layout
from rnb.contract.slot import slot_bytes, tensor_bytes
from rnb.transport.fabric import POLL_S, SlotsLost, Stop
from rnb.transport.local.shared_memory import SharedMemory

if TYPE_CHECKING:
    import torch


class SlotPool:
    """The slots of one replica. The driver makes it, the replica allocates it, its readers attach to it."""

    def __init__(
        self,
        *,
        layout: Layout,
        num_slots: int,
        device: Device,
        context: BaseContext,
        stop: Stop,
    ) -> None:
        self.layout, self.num_slots, self.device = layout, num_slots, device
        self._slot_bytes = slot_bytes(layout)
        self._stop = stop
        self._free = context.Semaphore(num_slots)
        self._state = SharedMemory(num_slots + 1)
        # CPU memory comes from the driver and so outlives the producer; GPU memory comes from the producer.
        self._host_memory = None if device.is_gpu else SharedMemory(num_slots * self._slot_bytes)
        self._open()

    def _open(self) -> None:
        self._is_taken = self._state.array("uint8", (self.num_slots,))
        self._is_lost = self._state.array("uint8", (1,), self.num_slots)
        self._threads = threading.Lock()
        self.storage: torch.Tensor | None = None
        self._tensors: list[tuple[torch.Tensor, ...]] = []

    def __getstate__(self) -> dict[str, Any]:
        kept = ("layout", "num_slots", "device", "_slot_bytes", "_stop", "_free", "_state", "_host_memory")
        return {key: self.__dict__[key] for key in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    @property
    def outlives_producer(self) -> bool:
        """Whether the slots stay when the process that allocated them ends."""
        return self._host_memory is not None

    def declare_lost(self) -> None:
        """Say that the producer is gone; where the slots went with it, `tensors` raises SlotsLost from now
        on."""
        self._is_lost[0] = not self.outlives_producer

    def allocate(self) -> bytes:
        """Allocate the slots, in the producer; returns what `attach` needs in a reader."""
        if self._host_memory is not None:
            self.attach(b"")
            return b""
        import torch

        num_bytes = self.num_slots * self._slot_bytes
        self._use(torch.zeros(num_bytes, dtype=torch.uint8, device=self.device.torch()))
        return bytes(_pickler().dumps(self.storage))

    def attach(self, handle: bytes) -> None:
        """Map the slots in a reader, on whatever device they are."""
        if self._host_memory is None:
            self._use(_pickler().loads(handle))
            return
        import torch

        self._use(torch.frombuffer(self._host_memory.buffer, dtype=torch.uint8))

    def detach(self) -> None:
        """Let go of the slots: a reader when it has read its last one, the producer after all readers."""
        self.storage, self._tensors = None, []

    def pin(self) -> None:
        """Page-lock slots in CPU memory, so that a GPU reads them at full speed and asynchronously."""
        if self._host_memory is not None and self.storage is not None:
            import torch

            pointer, num_bytes = self.storage.data_ptr(), self.storage.numel()
            torch.cuda.check_error(int(torch.cuda.cudart().cudaHostRegister(pointer, num_bytes, 0)))

    def _use(self, storage: torch.Tensor) -> None:
        self.storage = storage
        self._tensors = [self._views(storage, index) for index in range(self.num_slots)]

    def _views(self, storage: torch.Tensor, index: int) -> tuple[torch.Tensor, ...]:
        import torch

        views, start = [], index * self._slot_bytes
        for spec in self.layout:
            dtype = getattr(torch, spec.dtype)
            views.append(storage[start : start + spec.num_bytes].view(dtype).view(spec.shape))
            start += tensor_bytes(spec)
        return tuple(views)

    def tensors(self, index: int) -> tuple[torch.Tensor, ...]:
        """The tensors of a slot, with all their rows."""
        if self._is_lost[0]:
            raise SlotsLost("the process that held these slots is gone")
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


def _pickler() -> Any:
    """The pickler that shares a CUDA tensor by its handle, which importing torch.multiprocessing sets up."""
    import multiprocessing.reduction

    import torch.multiprocessing  # noqa: F401

    return multiprocessing.reduction.ForkingPickler
