"""A worker's device: its stream, and what is current while its step runs.

torch is imported only where a step uses it, so a pipeline without tensors starts without it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rnb.contract.device import Device


class Computing:
    """One thread's use of a device. Make it when the step's class is imported."""

    def __init__(self, device: Device, *, num_threads: int, needs_torch: bool = False) -> None:
        """`needs_torch`: whether the step uses it, though it may not be imported yet."""
        self._stream = None
        self._uses_torch = needs_torch or device.is_gpu or "torch" in sys.modules
        if self._uses_torch:
            import torch

            torch.set_num_threads(num_threads)
            if device.is_gpu:
                torch.cuda.set_device(device.torch())
                self._stream = torch.cuda.Stream(device.torch())

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Inside, the GPU and the stream are the current ones, and no gradients are kept."""
        if not self._uses_torch:
            yield
            return
        import torch

        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._stream is not None:
                stack.enter_context(torch.cuda.stream(self._stream))
            yield

    def synchronize(self) -> None:
        """Wait for all work of this thread on a GPU."""
        if self._stream is not None:
            self._stream.synchronize()
