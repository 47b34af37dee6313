"""The five parts of R(2+1)D-18, and the shapes between them: known without PyTorch.

See models.r2p1d.network, which has the parts themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

NUM_PARTS = 5
DEFAULT_LAYER_SIZES = (2, 2, 2, 2)
CHANNELS = (3, 64, 64, 128, 256, 512)
"""Before part 1, then after each part."""


def input_shape(
    start_index: int = 1, *, num_frames: int = 8, height: int = 112, width: int = 112
) -> tuple[int, ...]:
    """Shape of one row that part `start_index` takes: (channels, frames, height, width)."""
    check_range(start_index, NUM_PARTS)
    frames = (CHANNELS[0], num_frames, height, width)
    return frames if start_index == 1 else output_shape(frames, 1, start_index - 1)


def output_shape(
    row: Sequence[int], start_index: int = 1, end_index: int = NUM_PARTS, *, num_classes: int = 400
) -> tuple[int, ...]:
    """Shape of one row that these parts make of a row: what the next part takes, (num_classes,) at the end.

    Raises ValueError for a range that does not exist, and a row that part `start_index` does not take.
    """
    check_range(start_index, end_index)
    channels, num_frames, height, width = row
    if channels != CHANNELS[start_index - 1]:
        raise ValueError(f"start_index: {start_index}, does not take an input of {tuple(row)}")
    if end_index == NUM_PARTS:
        return (num_classes,)
    for index in range(start_index, end_index + 1):
        if index != 2:  # the only part that keeps the size
            height, width = _halved(height), _halved(width)
        if index > 2:
            num_frames = _halved(num_frames)
    return (CHANNELS[end_index], num_frames, height, width)


def _halved(size: int) -> int:
    """Size after a stride of 2 with padding of half the (odd) kernel."""
    return (size + 1) // 2


def check_range(start_index: int, end_index: int) -> None:
    """Raises ValueError for one that does not exist."""
    if not 1 <= start_index <= end_index <= NUM_PARTS:
        raise ValueError(
            f"start_index {start_index} and end_index {end_index} are no range of parts;"
            f" 1 <= start_index <= end_index <= {NUM_PARTS} must hold"
        )


def check_layer_sizes(layer_sizes: Sequence[int]) -> None:
    """`layer_sizes`: as R2P1DPart takes them. Raises ValueError for those that do not exist."""
    if len(layer_sizes) != NUM_PARTS - 1 or min(layer_sizes) < 1:
        raise ValueError(
            f"layer_sizes is {list(layer_sizes)}; it must hold {NUM_PARTS - 1} numbers of at least 1,"
            " the residual blocks in conv2, conv3, conv4 and conv5"
        )
