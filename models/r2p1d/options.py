"""What a config may say to the steps of R(2+1)D; each of them composes what it takes of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictInt, model_validator

from models.r2p1d.execution_options import ExecutionOptions
from models.r2p1d.parts import NUM_PARTS
from models.r2p1d.presets import KINETICS_MEAN, KINETICS_STD, PRESETS, PresetName
from models.r2p1d.sampler import R2P1DSampler
from nvvl.pace import Pace
from nvvl.window import Window
from rnb.contract import Count, Layout, Options, TensorSpec

FolderName = Annotated[str, Field(min_length=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PartIndex = Annotated[StrictInt, Field(ge=1, le=NUM_PARTS)]


DEFAULT_NUM_CLIPS = 10
Level = Annotated[float, Field(allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PresetOptions(Options):
    """Options that fit certain weights; those that a config sets itself go before those of the preset."""

    preset: PresetName | None = None
    """See models.r2p1d.presets."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        name = given.get("preset")
        preset = PRESETS.get(name, {}) if isinstance(name, str) else {}
        return {**{key: value for key, value in preset.items() if key in cls.model_fields}, **given}


class ClipCountOptions(Options):
    """How many clips a request has: drawn from `num_clips_population` with `num_clips_weights`.

    When either is null, it is `num_clips`, and another than the default is refused else.
    """

    num_clips: Count = DEFAULT_NUM_CLIPS
    num_clips_population: tuple[Count, ...] | None = (1, 15)
    num_clips_weights: tuple[Weight, ...] | None = (10, 1)
    clip_positions: Literal["drawn", "even"] = "drawn"
    """Drawn from the seed, apart from each other; or from the very start to the very end, always the same."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.sampler(1)
        if self.num_clips != DEFAULT_NUM_CLIPS and self.is_drawn:
            raise ValueError(
                f"num_clips: {self.num_clips}, counts only with num_clips_population: null, as the number is"
                " drawn else"
            )
        return self

    def sampler(self, clip_length: int) -> R2P1DSampler:
        """What draws the clips. Raises ValueError for weights that do not fit the population."""
        return R2P1DSampler(
            clip_length,
            self.num_clips,
            self.num_clips_population,
            self.num_clips_weights,
            is_even=self.clip_positions == "even",
        )

    @property
    def most_clips(self) -> int:
        return max(self.num_clips_population or ()) if self.is_drawn else self.num_clips

    @property
    def is_drawn(self) -> bool:
        """Whether the number is drawn, and not `num_clips`."""
        return self.num_clips_population is not None and self.num_clips_weights is not None


class FrameOptions(PresetOptions):
    """What is made of a video."""

    width: Count = 112
    height: Count = 112
    """Of the frames that are handed on."""
    resize: tuple[Count, Count] | None = None
    """Scale frames to this width and height, and cut out the middle; null: squeeze all of the picture in."""
    consecutive_frames: Count = 8
    """Frames in a clip."""
    frame_step: Count = 1
    """Clips have every so many of the video's frames."""
    frame_rate: Spread | None = None
    """Clips have so many frames a second."""
    backend: Literal["auto", "nvdec", "pyav", "nvvl"] = "auto"
    """What decodes; see nvvl.RnBLoader."""
    max_pixels: Count | None = None
    """Requests whose video has larger pictures fail."""
    index_cache: FolderName | None = None
    """A folder in which indexes of videos are kept from run to run."""
    conceal: bool = False
    """Take frames that a decoder made up in part because the file is damaged; such requests get a remark."""

    @model_validator(mode="after")
    def _check_frames(self) -> Self:
        Window.centred(self.width, self.height, self.resize)
        Pace(self.frame_step, self.frame_rate)
        return self


class DtypeOptions(Options):
    """The number type in which frames are handed on."""

    dtype: Literal["float32", "uint8"] = "float32"


class ClipOptions(ClipCountOptions, FrameOptions):
    """The clips of a request."""

    def clips(self, dtype: str) -> Layout:
        """The largest: (num_clips, 3, consecutive_frames, height, width)."""
        row = (3, self.consecutive_frames, self.height, self.width)
        return (TensorSpec((self.most_clips, *row), dtype),)


class ClassNameOptions(Options):
    """What the classes are called."""

    class_names: str | None = None
    """A file with a name a line, by label."""


class NetworkOptions(PresetOptions, ClassNameOptions):
    """The network and its weights: random ones, drawn from the seed, without a checkpoint."""

    num_classes: Count = 400
    layer_sizes: tuple[Count, ...] | None = None
    """Residual blocks of each layer; null: those of R(2+1)D-18."""
    checkpoint: str | None = None
    seed: StrictInt = 0
    mean: tuple[Level, Level, Level] = KINETICS_MEAN
    std: tuple[Spread, Spread, Spread] = KINETICS_STD
    """Of red, green and blue in frames from 0 to 1, which are normalized with them."""


class RunnerOptions(NetworkOptions, ExecutionOptions):
    """Parts `start_index` to `end_index` of the network, and how they run."""

    start_index: PartIndex = 1
    end_index: PartIndex = NUM_PARTS

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.start_index > self.end_index:
            raise ValueError(f"start_index: {self.start_index}, must be at most end_index, {self.end_index}")
        return self
