"""Builds parts of R(2+1)D with their weights: from a checkpoint, or random ones drawn from a seed."""

from collections.abc import Sequence

import torch

from models.checkpoint_file import State
from models.r2p1d.checkpoint import Checkpoint, select_weights
from models.r2p1d.network import RES2PLUS1D, R2P1DPart, Variant
from models.r2p1d.parts import DEFAULT_LAYER_SIZES, NUM_PARTS
from models.random_weights import random_state

# 1/√8 for the eight residual blocks of the default network: Hayou et al., "Stable ResNet", AISTATS 2021.
_BRANCH_SCALE = 0.35


def build_part(
    start_index: int = 1,
    end_index: int = NUM_PARTS,
    *,
    num_classes: int = 400,
    layer_sizes: Sequence[int] = DEFAULT_LAYER_SIZES,
    checkpoint: Checkpoint | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> R2P1DPart:
    """Parts `start_index` to `end_index`, ready for inference on `device`, in the checkpoint's variant.

    Without a checkpoint the weights are `random_weights` of `seed`. Raises ValueError for a range that does
    not exist and CheckpointError for a checkpoint that does not fit.
    """
    part = bare_part(
        start_index, end_index, num_classes=num_classes, layer_sizes=layer_sizes, checkpoint=checkpoint
    )
    weights = select_weights(checkpoint, part) if checkpoint else random_weights(part, seed)
    part.load_state_dict(weights, assign=True)
    return part.to(device)


def bare_part(
    start_index: int,
    end_index: int,
    *,
    num_classes: int,
    layer_sizes: Sequence[int],
    checkpoint: Checkpoint | None,
) -> R2P1DPart:
    """Its shapes alone, on the device 'meta', in the checkpoint's variant. Raises ValueError."""
    variant: Variant = checkpoint.variant if checkpoint else RES2PLUS1D
    with torch.device("meta"):
        part = R2P1DPart(
            start_index, end_index, num_classes=num_classes, layer_sizes=layer_sizes, variant=variant
        )
    return part.eval().requires_grad_(False)


def random_weights(part: R2P1DPart, seed: int) -> State:
    """Weights that depend on the seed and each name alone: the same however the network is cut."""
    return random_state(
        part.state_dict(), seed, branch_end=".conv2.temporal_conv.weight", branch_scale=_BRANCH_SCALE
    )
