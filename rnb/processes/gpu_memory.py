"""What to say when a GPU's memory is used up."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any


class OutOfGpuMemory(RuntimeError):
    """A step asked for more memory than its GPU has left: one line with the place and the bytes."""


def explain(error: RuntimeError, place: str) -> OutOfGpuMemory | None:
    """PyTorch's error, whose message is long, as one line; `place` says what was being done.

    None for any other error.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, torch.OutOfMemoryError):
        return None
    asked = re.search(r"Tried to allocate ([\d.]+ \w+)", str(error))
    free = re.search(r"([\d.]+ \w+) is free", str(error))
    amount = f"asked for {asked[1]}" if asked else str(error).splitlines()[0]
    return OutOfGpuMemory(f"{place}: {amount}{f', {free[1]} free' if free else ''}")


@contextlib.contextmanager
def explained(place: str) -> Iterator[None]:
    """Explain the error when it comes from what is done inside."""
    try:
        yield
    except RuntimeError as error:
        raise explain(error, place) or error from error.__cause__


def describe(tensors: Sequence[Any]) -> str:
    """The shapes of a call's input."""
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
    return f"inputs {shapes}" if shapes else "no input"
