"""A GPU without memory is told in one line."""

from __future__ import annotations

import pytest
import torch

from rnb.processes.gpu_memory import OutOfGpuMemory, explained

MESSAGE = (
    "CUDA out of memory. Tried to allocate 17.58 GiB. GPU 0 has a total capacity of 139.80 GiB of which"
    " 3.25 GiB is free. Process 7 has 12.0 GiB memory in use.\nSee documentation"
)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (MESSAGE, "a call with (64, 3): asked for 17.58 GiB, 3.25 GiB free"),
        ("CUDA out of memory\nmore", "a call with (64, 3): CUDA out of memory"),
    ],
)
def test_the_line_names_the_place_and_the_bytes(message: str, line: str) -> None:
    with pytest.raises(OutOfGpuMemory) as caught, explained("a call with (64, 3)"):
        raise torch.OutOfMemoryError(message)
    assert str(caught.value) == line


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), explained("a call"):
        raise ZeroDivisionError
