"""Reads a checkpoint of the whole network and takes out the weights of some of its parts.

Two layouts are told apart by their keys: RnB's own (`res2plus1d.conv1…conv5` and `linear`) and torchvision's
r2plus1d_18 (`stem`, `layer1…layer4` and `fc`). Either may be wrapped in `{"state_dict": …}`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint_file import CheckpointError, State, fit, listed, read_state
from models.r2p1d.network import RES2PLUS1D, TORCHVISION, R2P1DPart, Variant

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
    state = read_state(path)
    variant = _detect_variant(path, state)
    if variant is RES2PLUS1D:
        _reject_unknown(path, (key for key in state if not _OWN_KEY.match(key)))
        return Checkpoint(path, variant, state)
    renamed = {key: _own_key(key) for key in state}
    _reject_unknown(path, (key for key, own_key in renamed.items() if own_key is None))
    return Checkpoint(path, variant, {renamed[key] or key: tensor for key, tensor in state.items()})


def select_weights(checkpoint: Checkpoint, part: R2P1DPart) -> State:
    """The weights of `part` in its number type; those of other parts are left out.

    Raises CheckpointError for weights that do not fit; see `fit`.
    """
    expected = part.state_dict()
    prefixes = {_part_prefix(key) for key in expected}
    found = {key: value for key, value in checkpoint.state.items() if _part_prefix(key) in prefixes}
    return fit(checkpoint.path, expected, found, "do layer_sizes and the checkpoint agree?")


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
        raise CheckpointError(f"checkpoint {path}: {listed('unexpected', keys)}")
