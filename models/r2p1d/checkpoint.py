"""Reads a checkpoint of the whole network and takes out the weights of some of its parts.

Two layouts are told apart by their keys: RnB's own (`res2plus1d.conv1…conv5` and `linear`) and torchvision's
r2plus1d_18 (`stem`, `layer1…layer4` and `fc`). Either may be wrapped in `{"state_dict": …}`.
"""

import pickle
import re
import stat
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from models.r2p1d.network import RES2PLUS1D, TORCHVISION, R2P1DPart, Variant

State = dict[str, torch.Tensor]

_ZIP_START = b"PK\x03\x04"
_COUNTER = ".num_batches_tracked"
_OWN_KEY = re.compile(r"(res2plus1d\.conv[1-5]|linear)\.")
_TORCHVISION_KEY = re.compile(r"(stem|layer[1-4]|fc)\.")

# One factored convolution is an nn.Sequential of four there, the stem one of six.
_FACTORED = {"0": "spatial_conv", "1": "bn", "3": "temporal_conv"}
_STEM = {**_FACTORED, "4": "outbn"}
_BLOCK = {
    **{f"conv{conv}.0.{index}": f"conv{conv}.{name}" for conv in (1, 2) for index, name in _FACTORED.items()},
    "conv1.1": "bn1",
    "conv2.1": "bn2",
    "downsample.0": "downsampleconv",
    "downsample.1": "downsamplebn",
}


_REAL_TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64)
"""Whole numbers for the counters."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message is one line that names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights by the names that `R2P1DPart` gives them, and the variant of the network that they fit."""

    path: Path
    variant: Variant
    state: State


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of either layout onto the CPU; only tensors and plain values are unpickled.

    Raises CheckpointError for a file that is missing, is no checkpoint, or has a key of neither layout.
    """
    path = Path(path)
    state = _tensors(path, _load(path))
    variant = _detect_variant(path, state)
    if variant is RES2PLUS1D:
        _reject_unknown(path, (key for key in state if not _OWN_KEY.match(key)))
        return Checkpoint(path, variant, state)
    renamed = {key: _own_key(key) for key in state}
    _reject_unknown(path, (key for key, own_key in renamed.items() if own_key is None))
    return Checkpoint(path, variant, {renamed[key] or key: tensor for key, tensor in state.items()})


def select_weights(checkpoint: Checkpoint, part: R2P1DPart) -> State:
    """The weights of `part` in its number type; those of other parts are left out.

    How many batches a norm has seen may be missing: older files do not tell, and only training asks. Raises
    CheckpointError for other keys that are missing, that the part has no place for, whose shapes differ, or
    whose values are no finite real numbers.
    """
    expected = part.state_dict()
    prefixes = {_part_prefix(key) for key in expected}
    found = {key: torch.zeros((), dtype=torch.int64) for key in expected if key.endswith(_COUNTER)}
    found |= {key: value for key, value in checkpoint.state.items() if _part_prefix(key) in prefixes}
    _check_keys(checkpoint.path, expected, found)
    _check_shapes(checkpoint.path, expected, found)
    _check_kinds(checkpoint.path, found)
    weights = {key: found[key].to(expected[key].dtype).contiguous() for key in expected}
    _check_values(checkpoint.path, weights)
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


def _detect_variant(path: Path, state: State) -> Variant:
    if any(_OWN_KEY.match(key) for key in state):
        return RES2PLUS1D
    if any(_TORCHVISION_KEY.match(key) for key in state):
        return TORCHVISION
    raise CheckpointError(
        f"checkpoint {path}: keys like {next(iter(state))!r} are of neither known layout:"
        " 'res2plus1d.conv1…conv5' and 'linear', or torchvision's 'stem', 'layer1…layer4' and 'fc'"
    )


def _own_key(key: str) -> str | None:
    """The name that R2P1DPart has for a key of torchvision's; None where there is none."""
    if match := re.fullmatch(r"fc\.(\w+)", key):
        return f"linear.{match[1]}"
    if (match := re.fullmatch(r"stem\.(\d)\.(\w+)", key)) and match[1] in _STEM:
        return f"res2plus1d.conv1.{_STEM[match[1]]}.{match[2]}"
    if (match := re.fullmatch(r"layer([1-4])\.(\d+)\.([\w.]+)\.(\w+)", key)) and match[3] in _BLOCK:
        layer, block = int(match[1]), int(match[2])
        block_name = "block1" if block == 0 else f"blocks.{block - 1}"
        return f"res2plus1d.conv{layer + 1}.{block_name}.{_BLOCK[match[3]]}.{match[4]}"
    return None


def _part_prefix(key: str) -> str:
    match = _OWN_KEY.match(key)
    assert match is not None, f"{key} is not a key of R2P1DPart"
    return match[0]


def _reject_unknown(path: Path, unknown: Iterable[str]) -> None:
    if keys := list(unknown):
        raise CheckpointError(f"checkpoint {path}: {_listed('unexpected', keys)}")


def _check_keys(path: Path, expected: State, found: State) -> None:
    problems = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
    }
    if any(problems.values()):
        listed = "; ".join(_listed(kind, keys) for kind, keys in problems.items() if keys)
        raise CheckpointError(f"checkpoint {path}: {listed} (do layer_sizes and the checkpoint agree?)")


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


def _listed(kind: str, keys: list[str]) -> str:
    return f"{len(keys)} {kind} key{'s' if len(keys) > 1 else ''}: {_shortened(keys)}"


def _shortened(items: list[str], num_shown: int = 3) -> str:
    more = f" and {len(items) - num_shown} more" if len(items) > num_shown else ""
    return ", ".join(items[:num_shown]) + more
