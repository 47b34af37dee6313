"""What to say when a GPU's memory is used up."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import torch


class OutOfGpuMemory(RuntimeError):
    """A step asked for more memory than its GPU has left: one line with the place and the bytes."""


def explain(error: torch.OutOfMemoryError, place: str) -> OutOfGpuMemory:
    """PyTorch's error, whose message is long, as one line; `place` says what was being done."""
    asked = re.search(r"Tried to allocate ([\d.]+ \w+)", str(error))
    free = re.search(r"([\d.]+ \w+) is free", str(error))
    amount = f"asked for {asked[1]}" if asked else str(error).splitlines()[0]
    return OutOfGpuMemory(f"{place}: {amount}{f', {free[1]} free' if free else ''}")


@contextlib.contextmanager
def explained(place: str) -> Iterator[None]:
    """Explain the error when it comes from what is done inside."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise explain(error, place) from error
