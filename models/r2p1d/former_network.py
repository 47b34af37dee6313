"""The network under the names that steps written for snuspl/rnb import."""

from collections.abc import Sequence

from models.r2p1d.network import R2P1DPart, ResidualBlock
from models.r2p1d.parts import DEFAULT_LAYER_SIZES, NUM_PARTS

SpatioTemporalResBlock = ResidualBlock


class R2Plus1DClassifier(R2P1DPart):
    """The whole network. `layer_sizes`: the residual blocks of conv2 to conv5."""

    def __init__(
        self, num_classes: int, layer_sizes: Sequence[int], block_type: type = SpatioTemporalResBlock
    ) -> None:
        super().__init__(num_classes=num_classes, layer_sizes=layer_sizes)


class R2Plus1DLayerWrapper(R2P1DPart):
    """Parts `start_idx` to `end_idx`. `layer_sizes`: of these parts in turn; that of part 1 says nothing."""

    def __init__(
        self,
        start_idx: int,
        end_idx: int,
        num_classes: int,
        layer_sizes: Sequence[int],
        block_type: type = SpatioTemporalResBlock,
    ) -> None:
        sizes = dict(enumerate(layer_sizes, start_idx))
        all_sizes = [sizes.get(part, DEFAULT_LAYER_SIZES[part - 2]) for part in range(2, NUM_PARTS + 1)]
        super().__init__(start_idx, end_idx, num_classes=num_classes, layer_sizes=all_sizes)
