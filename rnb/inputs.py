"""From slots to the tensors that a step is called with."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence

import torch

from rnb.intake import Piece
from rnb.slots import SlotPool
from rnb.step import Shapes, Tensors


class Inputs:
    """Gives a call its tensors: the slot itself where that works, else a copy in a buffer made once.

    The slot itself works when one message has all the rows and lies on the step's device.
    """

    def __init__(
        self,
        pools: Mapping[int, SlotPool],
        device: torch.device,
        *,
        shapes: Shapes | None,
        most_rows: int,
        in_place: bool,
    ) -> None:
        self._pools, self._device, self._in_place = pools, device, in_place
        self._shapes, self._most_rows = shapes or (), most_rows
        self._streams: dict[torch.device, torch.cuda.Stream] = {}
        is_remote = any(pool.device != device for pool in pools.values())
        is_needed = bool(shapes) and (most_rows > self._shapes[0][0] or is_remote)
        self._buffers = self._make_buffers() if is_needed else ()

    def _make_buffers(self) -> tuple[torch.Tensor, ...]:
        dtype = next(iter(self._pools.values())).layout.dtype
        factor = -(-self._most_rows // self._shapes[0][0])
        rows = [(shape[0] * factor, *shape[1:]) for shape in self._shapes]
        return tuple(torch.zeros(shape, dtype=dtype, device=self._device) for shape in rows)

    def assemble(self, pieces: Sequence[Piece]) -> Tensors:
        """The rows of all pieces, in order, one tensor for each that the step takes; None without tensors."""
        if pieces[0].slot is None:
            return None
        tensors = self._slot_rows(pieces) if self._is_one_run(pieces) else self._gather(pieces)
        return tensors if self._in_place else tuple(tensor.clone() for tensor in tensors)

    def _is_one_run(self, pieces: Sequence[Piece]) -> bool:
        slot = pieces[0].slot
        assert slot is not None
        if self._pools[slot.pool].device != self._device or any(piece.slot != slot for piece in pieces):
            return False
        return all(
            after.first_rows == tuple(map(sum, zip(before.first_rows, before.part.num_rows, strict=True)))
            for before, after in itertools.pairwise(pieces)
        )

    def _slot_rows(self, pieces: Sequence[Piece]) -> tuple[torch.Tensor, ...]:
        slot, last = pieces[0].slot, pieces[-1]
        assert slot is not None
        pool = self._pools[slot.pool]
        pool.wait_filled(slot.number, self._device)
        ends = map(sum, zip(last.first_rows, last.part.num_rows, strict=True))
        tensors = zip(pool.tensors(slot.number), pieces[0].first_rows, ends, strict=True)
        return tuple(tensor[first:end] for tensor, first, end in tensors)

    def _gather(self, pieces: Sequence[Piece]) -> tuple[torch.Tensor, ...]:
        # Not made at the start only where a lone message loses a failed request from its middle.
        self._buffers = self._buffers or self._make_buffers()
        ends = [0] * len(self._buffers)
        for piece in pieces:
            assert piece.slot is not None
            pool = self._pools[piece.slot.pool]
            with self._reading(pool, piece.slot.number):
                for number, tensor in enumerate(pool.tensors(piece.slot.number)):
                    first, rows = piece.first_rows[number], piece.part.num_rows[number]
                    target = self._buffers[number][ends[number] : ends[number] + rows]
                    target.copy_(tensor[first : first + rows], non_blocking=self._device.type == "cuda")
                    ends[number] += rows
        return tuple(buffer[:end] for buffer, end in zip(self._buffers, ends, strict=True))

    @contextlib.contextmanager
    def _reading(self, pool: SlotPool, slot: int) -> Iterator[None]:
        """Copies made inside come after the writing of the slot.

        A copy between two GPUs runs on the current stream of the one that it reads, and PyTorch orders this
        process's streams around it. So that stream is what has to wait for the other process's event.
        """
        if pool.device.type != "cuda" or self._device.type != "cuda" or pool.device == self._device:
            pool.wait_filled(slot, self._device)
            yield
            return
        if pool.device not in self._streams:
            self._streams[pool.device] = torch.cuda.Stream(pool.device)
        with torch.cuda.stream(self._streams[pool.device]):
            pool.wait_filled(slot, pool.device)
            yield
