"""A network's calls as CUDA graphs: one launch instead of hundreds, one graph for each number of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

import torch


class Graphs:
    """Of one network on one GPU. Any thread may replay them, one at a time, on any one stream, and waits for
    its work before the next."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._output: torch.Tensor | None = None

    @property
    def sizes(self) -> Set[int]:
        """The numbers of rows that there are graphs for."""
        return self._graphs.keys()

    def capture(self, sizes: Sequence[int], call: Callable[[int], torch.Tensor]) -> None:
        """`call` runs the network on so many first rows of an input that stays where it is.

        The largest size comes first: the graphs share a pool, and the smaller find their memory in it.
        """
        pool, stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream(self._device)
        current = torch.cuda.current_stream(self._device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for size in sorted(sizes, reverse=True):
                self._capture_one(size, call, pool, stream)
        current.wait_stream(stream)

    def _capture_one(
        self, size: int, call: Callable[[int], torch.Tensor], pool: Any, stream: torch.cuda.Stream
    ) -> None:
        output = call(size)  # what a stream needs once, as cuBLAS's workspace, must not be the graph's
        if self._output is None:
            self._output = torch.empty_like(output, memory_format=torch.contiguous_format)
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate and copy meanwhile.
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self._output[:size].copy_(call(size))
        self._graphs[size] = graph

    def replay(self, size: int) -> torch.Tensor:
        """What `call` gives for so many rows as the input holds now; the next replay overwrites it."""
        assert self._output is not None
        self._graphs[size].replay()
        return self._output[:size]
