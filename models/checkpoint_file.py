"""A file of weights as `torch.save` writes it: reading it safely, and fitting it to a network.

The tensors may be wrapped in `{"state_dict": …}`.
"""

from __future__ import annotations

import pickle
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

State = dict[str, torch.Tensor]
COUNTER = ".num_batches_tracked"
"""How the names of tensors end that say how many batches a norm has seen."""
_ZIP_START = b"PK\x03\x04"
_REAL_TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64)
"""Whole numbers for the counters."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message is one line that names the file and the reason."""


def read_state(path: Path) -> State:
    """The tensors of a file by name, on the CPU; only tensors and plain values are unpickled.

    Raises CheckpointError for a file that is missing, or is no checkpoint.
    """
    return _tensors(path, _load(path))


def fit(path: Path, expected: State, found: State, hint: str) -> State:
    """The tensors that a network expects, in its number types, of those that were found.

    How many batches a norm has seen may be missing: older files do not tell, and only training asks.

    Args:
        hint: what to look at when names differ, a question.

    Raises:
        CheckpointError: other keys are missing, or have no place in the network, shapes differ, or values are
            no finite real numbers.
    """
    counters = {key: torch.zeros((), dtype=torch.int64) for key in expected if key.endswith(COUNTER)}
    found = counters | found
    _check_keys(path, expected, found, hint)
    _check_shapes(path, expected, found)
    _check_kinds(path, found)
    weights = {key: found[key].to(expected[key].dtype).contiguous() for key in expected}
    _check_values(path, weights)
    return weights


def _load(path: Path) -> object:
    _check_file(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of a pickle that is none of PyTorch's
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # any bytes may be in there, so any error of the unpickler may come out
        raise CheckpointError(f"checkpoint {path}: {_refusal(path, error)}") from error


def _check_file(path: Path) -> None:
    """Only files: reading from a FIFO would wait for ever."""
    try:
        status = path.stat()
    except OSError as error:
        raise CheckpointError(f"checkpoint {path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise CheckpointError(f"checkpoint {path}: is {kind}, not a PyTorch checkpoint")
    if not status.st_size:
        raise CheckpointError(f"checkpoint {path}: is empty, not a PyTorch checkpoint")


def _refusal(path: Path, error: Exception) -> str:
    """Why PyTorch does not read the file, by what the file begins with."""
    with path.open("rb") as file:
        start = file.read(len(_ZIP_START))
    if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
        return "holds objects of code, which is not run; save tensors alone, as a model's state_dict() is"
    if start == _ZIP_START:
        return "not a PyTorch checkpoint: a zip archive of other things, damaged or cut short"
    if start[:1] == pickle.PROTO:
        return "not a PyTorch checkpoint: a pickle of other things, damaged or cut short"
    return "not a PyTorch checkpoint: neither a zip archive nor a pickle"


def _tensors(path: Path, loaded: object) -> State:
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else loaded
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(
            f"checkpoint {path}: holds a {type(state).__name__}, not a state dict of tensors"
        )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"checkpoint {path}: entry {key!r} is a {type(value).__name__}, not a tensor by name"
            )
    return dict(state)


def _check_keys(path: Path, expected: State, found: State, hint: str) -> None:
    problems = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
    }
    if any(problems.values()):
        problem = "; ".join(listed(kind, keys) for kind, keys in problems.items() if keys)
        raise CheckpointError(f"checkpoint {path}: {problem} ({hint})")


def _check_shapes(path: Path, expected: State, found: State) -> None:
    wrong = [
        f"{key} is {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if found[key].shape != expected[key].shape
    ]
    if wrong:
        raise CheckpointError(f"checkpoint {path}: {_shortened(wrong)} (does num_classes agree?)")


def _check_kinds(path: Path, found: State) -> None:
    odd = [
        f"{key} is {tensor.dtype}, {tensor.layout}, on {tensor.device}"
        for key, tensor in found.items()
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in _REAL_TYPES
    ]
    if odd:
        raise CheckpointError(f"checkpoint {path}: {_shortened(odd)}; it must be real numbers, all stored")


def _check_values(path: Path, weights: State) -> None:
    wrong = [key for key, tensor in weights.items() if not tensor.isfinite().all()]
    if wrong:
        raise CheckpointError(f"checkpoint {path}: NaN or infinite values in {_shortened(wrong)}")


def listed(kind: str, keys: list[str]) -> str:
    """How many keys, and the first of them."""
    return f"{len(keys)} {kind} key{'s' if len(keys) > 1 else ''}: {_shortened(keys)}"


def _shortened(items: list[str], num_shown: int = 3) -> str:
    more = f" and {len(items) - num_shown} more" if len(items) > num_shown else ""
    return ", ".join(items[:num_shown]) + more
