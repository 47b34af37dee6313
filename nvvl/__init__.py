"""Video files to frames in a tensor: a drop-in for the NVVL fork of RnB (`RnBLoader`, `Sampler`)."""

from nvvl.errors import VideoError
from nvvl.rnb_loader import RnBLoader
from nvvl.sampler import AllSampler, Sampler

__all__ = ["AllSampler", "RnBLoader", "Sampler", "VideoError"]

_LEFT_OUT = ("ProcessDesc", "RnBDataset", "VideoDataset", "VideoLoader")


def __getattr__(name: str) -> None:
    """Names of NVVL for training, which have no counterpart here."""
    if name in _LEFT_OUT:
        raise ImportError(f"nvvl.{name} is not supported: nvvl.RnBLoader reads videos here")
    raise AttributeError(f"module 'nvvl' has no attribute '{name}'")
