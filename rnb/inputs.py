"""From slots to the tensors that a step is called with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

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
            for number, tensor in enumerate(pool.tensors(piece.slot.number)):
                first, rows = piece.first_rows[number], piece.part.num_rows[number]
                target = self._buffers[number][ends[number] : ends[number] + rows]
                target.copy_(tensor[first : first + rows], non_blocking=self._device.type == "cuda")
                ends[number] += rows
        return tuple(buffer[:end] for buffer, end in zip(self._buffers, ends, strict=True))
