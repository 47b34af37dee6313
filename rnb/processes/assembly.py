"""From slots to the tensors that a step is called with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rnb.contract.device import Device
from rnb.contract.request import Layout, Rows
from rnb.processes.intake import Piece
from rnb.transport.fabric import Pool

if TYPE_CHECKING:
    import torch


class Assembly:
    """Gives a call its tensors: the slot itself where that works, else a copy in a buffer made once.

    The slot itself works when one message has all the rows and lies on the step's device.
    """

    def __init__(
        self,
        pools: Mapping[int, Pool],
        device: Device,
        *,
        inputs: Layout,
        most_rows: int,
        in_place: bool,
    ) -> None:
        self._pools, self._device, self._in_place = pools, device, in_place
        self._inputs, self._most_rows = inputs, most_rows
        is_remote = any(pool.device != device for pool in pools.values())
        is_needed = bool(inputs) and (most_rows > inputs[0].most_rows or is_remote)
        self._buffers = self._make_buffers() if is_needed else ()

    def _make_buffers(self) -> tuple[torch.Tensor, ...]:
        import torch

        factor = -(-self._most_rows // self._inputs[0].most_rows)
        device = self._device.torch()
        return tuple(
            torch.zeros((spec.most_rows * factor, *spec.row), dtype=getattr(torch, spec.dtype), device=device)
            for spec in self._inputs
        )

    def tensors(self, pieces: Sequence[Piece]) -> tuple[torch.Tensor, ...]:
        """The rows of all pieces, in order, of each tensor that the step takes."""
        if pieces[0].slot is None:
            return ()
        tensors = self._slot_rows(pieces) if self._is_one_run(pieces) else self._gather(pieces)
        return tensors if self._in_place else tuple(tensor.clone() for tensor in tensors)

    def _is_one_run(self, pieces: Sequence[Piece]) -> bool:
        slot = pieces[0].slot
        assert slot is not None
        if self._pools[slot.pool].device != self._device or any(piece.slot != slot for piece in pieces):
            return False
        return all(after.first_rows == _end(before) for before, after in itertools.pairwise(pieces))

    def _slot_rows(self, pieces: Sequence[Piece]) -> tuple[torch.Tensor, ...]:
        slot = pieces[0].slot
        assert slot is not None
        tensors = self._pools[slot.pool].tensors(slot.number)
        rows = zip(tensors, pieces[0].first_rows, _end(pieces[-1]), strict=True)
        return tuple(tensor[first:end] for tensor, first, end in rows)

    def _gather(self, pieces: Sequence[Piece]) -> tuple[torch.Tensor, ...]:
        # Not made at the start only where a lone message loses a failed request from its middle.
        self._buffers = self._buffers or self._make_buffers()
        ends = [0] * len(self._buffers)
        for piece in pieces:
            assert piece.slot is not None
            pool = self._pools[piece.slot.pool]
            for number, tensor in enumerate(pool.tensors(piece.slot.number)):
                first, rows = piece.first_rows[number], piece.rows[number]
                target = self._buffers[number][ends[number] : ends[number] + rows]
                target.copy_(tensor[first : first + rows], non_blocking=self._device.is_gpu)
                ends[number] += rows
        return tuple(buffer[:end] for buffer, end in zip(self._buffers, ends, strict=True))


def _end(piece: Piece) -> Rows:
    """The row after its last one, in each tensor."""
    return tuple(map(sum, zip(piece.first_rows, piece.rows, strict=True)))
