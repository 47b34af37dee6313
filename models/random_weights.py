"""Weights for a network that has none: random ones, with which it still tells its inputs apart."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch

from models.checkpoint_file import State

# E[relu(z)²] − E[relu(z)]² = 1/2 − 1/(2π) for a standard normal z.
_RELU_VARIANCE = 0.5 - 0.5 / math.pi


def random_state(state: State, seed: int, *, branch_end: str = "", branch_scale: float = 1.0) -> State:
    """Tensors of these names and shapes, on the CPU, that depend on the seed and the name alone.

    Batch norm is the identity and biases are zero.

    Args:
        branch_end: how the names of the kernels end that close a residual branch; they are scaled.
        branch_scale: by this factor.
    """
    return {
        key: _initial(key, tensor, seed, branch_scale if key.endswith(branch_end) else 1.0)
        for key, tensor in state.items()
    }


def _initial(key: str, tensor: torch.Tensor, seed: int, scale: float) -> torch.Tensor:
    if tensor.dim() > 1:
        return _random_kernel(key, tuple(tensor.shape), seed, scale)
    is_one = key.endswith(("running_var", ".weight"))
    return torch.full(tensor.shape, int(is_one), dtype=tensor.dtype, device="cpu")


def _random_kernel(key: str, shape: tuple[int, ...], seed: int, scale: float) -> torch.Tensor:
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
    kernel *= 2 * bound * np.float32(scale)
    kernel -= kernel.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    return torch.from_numpy(kernel.reshape(shape))
