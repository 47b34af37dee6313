"""How a part of R(2+1)D runs: number type, layout, fused calls, CUDA graphs, sizes of its batches.

rows -> static input (cast, laid out) -> network, eager or as one CUDA graph per size -> float32 rows
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from models.graphs import Graphs
from models.r2p1d.execution_options import ExecutionOptions
from models.r2p1d.lowered import LoweredPart
from models.r2p1d.network import R2P1DPart, Stem

PRECISIONS = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}

# Threads of a process warm up one after the other: timing cuDNN's plans side by side is wrong,
# compiling side by side is no faster, and a capture must not meet another thread's device-wide synchronise.
_WARM_UP = threading.Lock()


Phase = Callable[[str], contextlib.AbstractContextManager[None]]


class Network(Protocol):
    """What runs: the part as it is, or lowered."""

    def make_input(
        self, num_rows: int, row: tuple[int, ...], *, dtype: torch.dtype, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """An input, and the view of it, (num_rows, *row), into which rows are to be copied."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Logits or features, (num_rows, ...)."""


class Execution:
    """Owns a part and runs it on rows of shape `row`.

    Frames are of any number type, from 0 to 255, and are normalized with `mean` and `std` of each colour,
    which are of frames from 0 to 1. It takes the part over, and changes it. One thread may use it, on any one
    stream; where all sizes have graphs, several, one at a time, which wait for their work before the next.
    """

    def __init__(
        self,
        part: R2P1DPart,
        *,
        row: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        options: ExecutionOptions,
        phase: Phase = lambda what: contextlib.nullcontext(),
    ) -> None:
        """`phase`: see `rnb.contract.Context`."""
        self._phase = phase
        self._row, self._device, self._options = tuple(row), device, options
        self._on_gpu = device.type == "cuda"
        self._dtype = PRECISIONS[options.precision]
        scale, shift = 1 / (255 * torch.tensor(std)), -torch.tensor(mean) / torch.tensor(std)
        with phase("network"):
            self._network = self._make_network(part.to(device), scale.to(device), shift.to(device))
        # A static input has one number type and few sizes, whatever the rows have.
        self._copies_rows = options.fuse or options.compile or options.row_buckets is not None
        self._static: tuple[torch.Tensor, torch.Tensor] | None = None
        self._graphs = Graphs(device)

    def _make_network(self, part: R2P1DPart, scale: torch.Tensor, shift: torch.Tensor) -> Network:
        if self._options.fuse:
            lowered: Any = LoweredPart(part, scale, shift).to(self._dtype)
            return lowered  # type: ignore[no-any-return]
        normalization = (scale, shift) if isinstance(part.res2plus1d[0], Stem) else None
        layout = torch.channels_last_3d if self._options.channels_last else torch.contiguous_format
        plain: Any = PlainPart(part, normalization, dtype=self._dtype, layout=layout)
        if self._options.compile and self._on_gpu:
            plain.compile()
        return plain  # type: ignore[no-any-return]

    @torch.inference_mode()
    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Float32 logits, or features, of these rows; the tensor is the caller's."""
        num_rows = len(rows)
        size = self._options.bucket(num_rows)
        if size in self._graphs.sizes:
            assert self._static is not None
            self._static[1][:num_rows].copy_(rows)
            return _own(self._graphs.replay(size)[:num_rows])
        self._set_math()
        if not self._copies_rows:
            return self._network(rows).float().contiguous()
        x, target = self._input(size)
        target[:num_rows].copy_(rows)
        return _own(self._network(x)[:num_rows])

    def _input(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """An input of so many rows: of the static one where that has them."""
        if self._static is None or len(self._static[0]) < size:
            return self._network.make_input(size, self._row, dtype=self._dtype, device=self._device)
        return self._static[0][:size], self._static[1][:size]

    def _set_math(self) -> None:
        """PyTorch keeps these for the whole process; a graph has them captured."""
        if not self._on_gpu:
            return
        uses_tf32 = self._options.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = uses_tf32
        torch.backends.cudnn.benchmark = self._options.autotune is not None
        if self._options.autotune is not None:
            torch.backends.cudnn.benchmark_limit = self._options.autotune

    @torch.inference_mode()
    def warm_up(self, row_counts: Sequence[int]) -> None:
        """Get ready for calls with these numbers of rows: plans, compiled code, graphs, memory."""
        sizes = sorted({self._options.bucket(count) for count in row_counts if count}, reverse=True)
        if not sizes:
            return
        if not self._on_gpu:  # where a size costs nothing extra when it is new
            self._make_static(sizes[0])
            self._run_once(sizes[-1])
            return
        with self._turn():
            if self._graphs.sizes != set(sizes):  # else another thread, which shares this, has done it
                self._warm_up_on_gpu(sizes)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._phase("turn of the warm-up"):
            _WARM_UP.acquire()
        try:
            yield
        finally:
            _WARM_UP.release()

    def _warm_up_on_gpu(self, sizes: Sequence[int]) -> None:
        self._make_static(sizes[0])
        for size in sizes:
            with self._phase(f"{size} rows"):
                self._run_once(size)
        if self._uses_graphs:
            with self._phase("graphs"):
                self._graphs.capture(sizes, self._call_static)

    def _call_static(self, size: int) -> torch.Tensor:
        return self._network(self._input(size)[0])

    def _make_static(self, size: int) -> None:
        if self._copies_rows or self._uses_graphs:
            self._static = self._network.make_input(size, self._row, dtype=self._dtype, device=self._device)

    @property
    def _uses_graphs(self) -> bool:
        return self._options.cuda_graphs and self._on_gpu

    def _run_once(self, size: int) -> None:
        self._set_math()
        x, _ = self._input(size)
        if self._options.compile and self._on_gpu:
            torch._dynamo.maybe_mark_dynamic(x, 0)
        self._network(x)


class PlainPart(nn.Module):
    """The part as it is, with the normalization of frames before it."""

    def __init__(
        self,
        part: R2P1DPart,
        normalization: tuple[torch.Tensor, torch.Tensor] | None,
        *,
        dtype: torch.dtype,
        layout: torch.memory_format,
    ) -> None:
        super().__init__()
        weights: Any = part
        self.part = weights.to(dtype=dtype, memory_format=layout)
        self._dtype, self._layout = dtype, layout
        self._normalization = normalization and tuple(value.view(3, 1, 1, 1) for value in normalization)

    def make_input(
        self, num_rows: int, row: tuple[int, ...], *, dtype: torch.dtype, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.zeros(num_rows, *row, device=device)
        return rows, rows

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = rows.float()
        if self._normalization:
            scale, shift = self._normalization
            x = torch.addcmul(shift, x, scale)
        output: torch.Tensor = self.part(x.to(self._dtype, memory_format=self._layout))
        return output


def _own(rows: torch.Tensor) -> torch.Tensor:
    """A float32 copy: what is given out must not change with the next call."""
    return rows.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
