"""Builds parts of R(2+1)D with their weights: from a checkpoint, or random ones drawn from a seed."""

import math
import zlib
from collections.abc import Sequence

import numpy as np
import torch

from models.r2p1d.checkpoint import Checkpoint, State, select_weights
from models.r2p1d.network import DEFAULT_LAYER_SIZES, NUM_PARTS, RES2PLUS1D, R2P1DPart, Variant

# E[relu(z)²] − E[relu(z)]² = 1/2 − 1/(2π) for a standard normal z.
_RELU_VARIANCE = 0.5 - 0.5 / math.pi
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
    """Weights that depend on the seed and each parameter's name alone: the same however the network is cut.

    Batch norm is the identity and biases are zero.
    """
    return {key: _initial(key, tensor, seed) for key, tensor in part.state_dict().items()}


def _initial(key: str, tensor: torch.Tensor, seed: int) -> torch.Tensor:
    if tensor.dim() > 1:
        return _random_kernel(key, tuple(tensor.shape), seed)
    is_one = key.endswith(("running_var", ".weight"))
    return torch.full(tensor.shape, int(is_one), dtype=tensor.dtype, device="cpu")


def _random_kernel(key: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Uniform weights with Kaiming's bound, each filter's mean taken out, residual branches scaled down.

    ReLU makes all activations positive; filters with a mean would pass that common part on and amplify it
    until every video got the same class. Without it the variance that ReLU leaves, not the second moment,
    sets the gain. Smaller branches keep the sum over the blocks from growing and from drowning what tells
    videos apart.
    Source: He et al., ICCV 2015, section 2.2; Huang et al., "Centered Weight Normalization", ICCV 2017.
    """
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    fan_in = math.prod(shape[1:])
    bound = np.float32(math.sqrt(3 / (_RELU_VARIANCE * fan_in)))
    kernel = rng.random((shape[0], fan_in), dtype=np.float32)
    kernel *= 2 * bound * np.float32(_BRANCH_SCALE if _ends_branch(key) else 1)
    kernel -= kernel.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    return torch.from_numpy(kernel.reshape(shape))


def _ends_branch(key: str) -> bool:
    return key.endswith(".conv2.temporal_conv.weight")
