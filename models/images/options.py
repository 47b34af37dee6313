"""What a config may say to the steps of images."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from models.images.backends import WITH_ENGINE, Backend
from rnb.contract import Count, Layout, Options, TensorSpec

Share = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[float, Field(allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ColourOptions(Options):
    """With what colours are normalized; by default as torchvision's weights of ImageNet expect it."""

    mean: tuple[Level, Level, Level] = (0.485, 0.456, 0.406)
    std: tuple[Spread, Spread, Spread] = (0.229, 0.224, 0.225)
    """Of red, green and blue in pictures from 0 to 1."""


class CutOptions(Options):
    """Which part of an image is taken."""

    resize: Count | tuple[Count, Count] = 256
    """Scale so that the shorter side has so many pixels, or to this width and height."""
    crop: tuple[Count, Count] = (224, 224)
    """Width and height of the part that is cut out then."""
    crop_position: Literal["centre", "random"] = "centre"
    mirror: Share = 0
    """How likely it is that left and right are exchanged."""
    max_pixels: Count = 100_000_000
    """Larger images are refused, before and after scaling."""
    seed: StrictInt = 0
    """What is random is drawn from the seed and the request's id alone."""

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        width, height = self.resize if isinstance(self.resize, tuple) else (self.resize, self.resize)
        if self.crop[0] > width or self.crop[1] > height:
            raise ValueError(f"crop: {list(self.crop)}, must fit into resize, {self.resize}")
        return self


class LoaderOptions(CutOptions, ColourOptions):
    """What is made of an image, and what does it."""

    backend: Backend = "opencv"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    """Of what is handed on: floats are normalized, bytes are from 0 to 255."""
    antialias: StrictBool = True
    """A new pixel is made of all that it covers; false: of the nearest four and without rounding, as
    torchvision's detectors do it."""
    num_threads: Count = 1
    """Threads of nvimgcodec and DALI on the CPU, each worker's own."""
    hardware_share: Share | None = None
    """The share of JPEGs that the GPU's JPEG engine decodes, of nvimgcodec and DALI; null: as they choose."""

    @model_validator(mode="after")
    def _check_share(self) -> Self:
        if self.hardware_share is not None and self.backend not in WITH_ENGINE:
            raise ValueError(f"hardware_share: is of {' and '.join(WITH_ENGINE)}, not of {self.backend}")
        return self

    def rows(self) -> Layout:
        """An image: (1, 3, height, width), RGB."""
        width, height = self.crop
        return (TensorSpec((1, 3, height, width), self.dtype),)


class ClassifierOptions(ColourOptions):
    """A network and its weights: random ones, drawn from the seed, without a checkpoint."""

    num_classes: Count = 1000
    checkpoint: str | None = None
    """In the layout of torchvision's resnet50."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    cuda_graphs: StrictBool = False
    """Capture a CUDA graph for each number of pictures in the warm-up (on the CPU: not)."""
    seed: StrictInt = 0
