"""What a config may say to the steps of R(2+1)D; each of them composes what it takes of these."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator

from models.r2p1d.execution import ExecutionOptions
from models.r2p1d.network import NUM_PARTS
from models.r2p1d.sampler import R2P1DSampler
from rnb.contract import Count, Layout, Options, TensorSpec

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PartIndex = Annotated[StrictInt, Field(ge=1, le=NUM_PARTS)]


class ClipCountOptions(Options):
    """How many clips a request has: drawn from `num_clips_population` with `num_clips_weights`.

    When either is null, it is `num_clips`.
    """

    num_clips: Count = 10
    num_clips_population: tuple[Count, ...] | None = (1, 15)
    num_clips_weights: tuple[Weight, ...] | None = (10, 1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.sampler(1)
        return self

    def sampler(self, clip_length: int) -> R2P1DSampler:
        """What draws the clips. Raises ValueError for weights that do not fit the population."""
        return R2P1DSampler(clip_length, self.num_clips, self.num_clips_population, self.num_clips_weights)

    @property
    def most_clips(self) -> int:
        is_drawn = self.num_clips_population is not None and self.num_clips_weights is not None
        return max(self.num_clips_population or ()) if is_drawn else self.num_clips


class FrameOptions(Options):
    """What is made of a video."""

    width: Count = 112
    height: Count = 112
    consecutive_frames: Count = 8
    backend: Literal["auto", "nvdec", "pyav", "nvvl"] = "auto"
    """What decodes; see nvvl.RnBLoader."""
    conceal: bool = False
    """Take frames that a decoder made up in part because the file is damaged; such requests get a remark."""


class DtypeOptions(Options):
    """The number type in which frames are handed on."""

    dtype: Literal["float32", "uint8"] = "float32"


class ClipOptions(ClipCountOptions, FrameOptions):
    """The clips of a request."""

    def clips(self, dtype: str) -> Layout:
        """The largest: (num_clips, 3, consecutive_frames, height, width)."""
        row = (3, self.consecutive_frames, self.height, self.width)
        return (TensorSpec((self.most_clips, *row), dtype),)


class NetworkOptions(Options):
    """The network and its weights: random ones, drawn from the seed, without a checkpoint."""

    num_classes: Count = 400
    layer_sizes: tuple[Count, ...] | None = None
    """Residual blocks of each layer; null: those of R(2+1)D-18."""
    checkpoint: str | None = None
    seed: StrictInt = 0


class RunnerOptions(NetworkOptions, ExecutionOptions):
    """Parts `start_index` to `end_index` of the network, and how they run."""

    start_index: PartIndex = 1
    end_index: PartIndex = NUM_PARTS

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.start_index > self.end_index:
            raise ValueError(f"start_index: {self.start_index}, must be at most end_index, {self.end_index}")
        return self
