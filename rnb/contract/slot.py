"""Where the tensors of an output lie in a slot."""

from __future__ import annotations

import math

from rnb.contract.request import Layout, TensorSpec

ALIGNMENT_BYTES = 512
"""Each tensor starts on such a boundary, as CUDA's allocations do."""


def tensor_bytes(spec: TensorSpec) -> int:
    """What a tensor takes of a slot."""
    return math.ceil(spec.num_bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def slot_bytes(layout: Layout) -> int:
    return sum(map(tensor_bytes, layout))
