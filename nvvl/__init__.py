"""Video files to frames in a tensor: a drop-in for the NVVL fork of RnB (`RnBLoader`, `Sampler`)."""

from nvvl.errors import VideoError
from nvvl.rnb_loader import RnBLoader
from nvvl.sampler import Sampler

__all__ = ["RnBLoader", "Sampler", "VideoError"]
