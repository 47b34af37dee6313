"""Video files to frames in a tensor: a drop-in for the NVVL fork of RnB (`RnBLoader`, `Sampler`)."""

from typing import TYPE_CHECKING, Any

from nvvl.errors import VideoError
from nvvl.sampler import AllSampler, Sampler

if TYPE_CHECKING:
    from nvvl.rnb_loader import RnBLoader

__all__ = ["AllSampler", "RnBLoader", "Sampler", "VideoError"]

_LEFT_OUT = ("ProcessDesc", "RnBDataset", "VideoDataset", "VideoLoader")


def __getattr__(name: str) -> Any:
    """RnBLoader, which needs PyTorch, once it is asked for; of NVVL's names for training, that they are not
    here."""
    if name == "RnBLoader":
        from nvvl.rnb_loader import RnBLoader

        return RnBLoader
    if name in _LEFT_OUT:
        raise ImportError(f"nvvl.{name} is not supported: nvvl.RnBLoader reads videos here")
    raise AttributeError(f"module 'nvvl' has no attribute '{name}'")
