"""What decodes images and makes rows of them: names, whether this machine has them, and how to get one."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from models.images.encoded import Encoded

if TYPE_CHECKING:
    import torch

    from models.images.cut import Cut
    from models.images.options import LoaderOptions

Backend = Literal["opencv", "torchcodec", "nvimgcodec", "dali"]
WITH_ENGINE = ("nvimgcodec", "dali")
"""Those that can be told how much the GPU's JPEG engine decodes."""
MODULES = {
    "opencv": "cv2",
    "torchcodec": "torchcodec",
    "nvimgcodec": "nvidia.nvimgcodec",
    "dali": "nvidia.dali",
}
EXTRAS = {"dali": "dali"}
"""Which extra of RnB brings a backend; `images` all that are not here."""
HINTS = {"torchcodec": "; the package on PyPI goes with PyTorch's CUDA build alone"}


class Loading(Protocol):
    """Makes rows of images."""

    def load(self, images: Sequence[Encoded], cuts: Sequence[Cut]) -> torch.Tensor:
        """(images, 3, height, width), ready for the current stream of its device, valid until the next call.

        Raises ImageError when one of them cannot be decoded; the message names it if there is only one.
        """

    def close(self) -> None:
        """Let go of what is held."""


def check(name: Backend) -> None:
    """Whether this machine has the backend. Raises ValueError with what to do."""
    try:
        importlib.import_module(MODULES[name])
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(name, "images")
        raise ValueError(
            f"backend '{name}' needs {MODULES[name]} ({error}): pip install -e '.[{extra}]'"
        ) from None
    except (ImportError, OSError, RuntimeError) as error:
        raise ValueError(f"backend '{name}' cannot be loaded: {_cause(error)}{HINTS.get(name, '')}") from None


def _cause(error: BaseException) -> str:
    """The first line of what went wrong first."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return next(iter(str(error).splitlines()), type(error).__name__)


def choose(options: LoaderOptions, device: torch.device, batch_size: int) -> Loading:
    """The backend that the options name, for calls of up to `batch_size` images."""
    if options.backend == "dali":
        from models.images.dali_pipeline import DaliPipeline

        return DaliPipeline(options, device, batch_size)
    from models.images.decoding import DecoderAndPixelWork

    return DecoderAndPixelWork(options, device, batch_size)
