"""Slots: tensors allocated and shared once, which one step writes and the next reads.

One pool belongs to one producing replica. Whoever takes a slot owns it until a reader releases it. The writer
waits for its device work before it puts the slot's message into a queue, and the reader before it releases
the slot, so neither touches what the other still uses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.device import Device
from rnb.contract.request import Layout
from rnb.contract.slot import slot_bytes, tensor_bytes
from rnb.transport.fabric import POLL_S, SlotsLost, Stop
from rnb.transport.local.shared_memory import SharedMemory

if TYPE_CHECKING:
    import torch

_FREE, _TAKEN, _FIRST_READER = 0, -1, -2
"""Who has a slot: nobody; its producer, or a message that waits; or a reader, its number less than that."""
_GENERATION, _HANDLE_LENGTH, _NUM_WORDS = range(3)
"""How often the slots went with their producer; the bytes of the handle of those there are now, 0: none."""
_HANDLE_BYTES = 1 << 14
_STATE_BYTES = _NUM_WORDS * 8 + _HANDLE_BYTES
WAIT_S = 0.01


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
        self._state = SharedMemory(_STATE_BYTES + num_slots * 2)
        # CPU memory comes from the driver and so outlives the producer; GPU memory comes from the producer.
        self._host_memory = None if device.is_gpu else SharedMemory(num_slots * self._slot_bytes)
        self._open()

    def _open(self) -> None:
        self._words = memoryview(self._state.buffer)[: _NUM_WORDS * 8].cast("q")
        self._holders = self._state.array("int16", (self.num_slots,), _STATE_BYTES)
        self._threads = threading.Lock()
        self._mapped = 0
        """The generation whose memory this process has."""
        self._held: dict[int, int] = {}
        """The generation of each slot that this process noted to hold."""
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

    def allocate(self) -> bytes:
        """Allocate the slots, in the producer; returns what `attach` needs in a reader."""
        if self._host_memory is not None:
            self.attach(b"")
            return b""
        storage, handle = self._make(self.num_slots * self._slot_bytes)
        self._use(storage)
        self._publish(handle)
        return handle

    def _make(self, num_bytes: int) -> tuple[torch.Tensor, bytes]:
        """Memory of this process's own, and what `_map` needs in another one while this one is there."""
        import torch

        storage = torch.zeros(num_bytes, dtype=torch.uint8, device=self.device.torch())
        return storage, bytes(_pickler().dumps(storage))

    def _map(self, handle: bytes) -> torch.Tensor:
        storage: torch.Tensor = _pickler().loads(handle)
        return storage

    def _publish(self, handle: bytes) -> None:
        """Where readers find it that have attached to the memory of a producer before this one."""
        if len(handle) > _HANDLE_BYTES:
            raise ValueError(f"a handle of {len(handle)} bytes; there is room for {_HANDLE_BYTES}")
        start = _NUM_WORDS * 8
        self._state.buffer[start : start + len(handle)] = handle
        self._words[_HANDLE_LENGTH] = len(handle)

    def attach(self, handle: bytes) -> None:
        """Map the slots in a reader, on whatever device they are."""
        if self._host_memory is None:
            if not self._words[_GENERATION]:  # else `tensors` does, when the producer is there
                self._use(self._map(handle))
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
        self.storage, self._mapped = storage, self._words[_GENERATION]
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
        generation = self._words[_GENERATION]
        if self._mapped != generation:
            self._map_again()
        if self._held.get(index, generation) != generation:
            raise SlotsLost("the process that held these slots is gone")
        return self._tensors[index]

    def _map_again(self) -> None:
        """What the producer allocated that took the place of the one before."""
        with self._threads:
            length = self._words[_HANDLE_LENGTH]
            if not length:
                raise SlotsLost("the process that held these slots is gone")
            start = _NUM_WORDS * 8
            self._use(self._map(self._state.buffer[start : start + length]))

    def take(self) -> int:
        """Wait for a free slot and own it; raises Stopped when the run ends first."""
        while True:
            while not self._free.acquire(True, POLL_S):
                self._stop.check()
            with self._threads:
                index = int(self._holders.argmax())
                if self._holders[index] == _FREE:
                    self._holders[index] = _TAKEN
                    return index
            # One release too many, of `_release_all`.

    def release(self, index: int) -> None:
        """Give a slot back to its producer. The reader's device work on it must have finished."""
        self._holders[index] = _FREE
        self._free.release()

    def hold(self, index: int, reader: int) -> None:
        """Note that a reader has taken the slot's message."""
        self._holders[index] = _FIRST_READER - reader
        self._held[index] = self._words[_GENERATION]

    def let_go(self, reader: int) -> None:
        """Release what a reader held that has died."""
        self._release_all(self._holders == _FIRST_READER - reader)

    def reclaim(self, waiting: Collection[int] = ()) -> None:
        """Release what no reader holds: the producer has died, and no message of it waits any more but those
        in the slots `waiting`.

        Where the slots went with it, what readers still hold is lost, and the next producer allocates anew.
        """
        if not self.outlives_producer:
            self._words[_HANDLE_LENGTH] = 0
            self._words[_GENERATION] += 1
        is_left = self._holders == _TAKEN
        is_left[list(waiting)] = False
        self._release_all(is_left)

    def _release_all(self, which: NDArray[np.bool_]) -> None:
        self._holders[which] = _FREE
        # Whoever died may have done half of a take or of a release.
        for _ in range(int(np.count_nonzero(self._holders == _FREE)) - self._free.get_value()):
            self._free.release()

    def wait_until_read(self) -> None:
        """Wait until all slots are free; raises Stopped when the run ends first."""
        while (self._holders != _FREE).any():
            self._stop.check()
            time.sleep(WAIT_S)


def _pickler() -> Any:
    """The pickler that shares a CUDA tensor by its handle, which importing torch.multiprocessing sets up."""
    import multiprocessing.reduction

    import torch.multiprocessing  # noqa: F401

    return multiprocessing.reduction.ForkingPickler
