"""What the published weights of R(2+1)D-18 were trained on: the options that make such frames of a video."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)
KINETICS_CLASSES = str(Path(__file__).with_name("kinetics400.txt"))
"""The class names of Kinetics-400 in the order of torchvision's labels, one a line."""

PresetName = Literal["torchvision-kinetics400", "res2plus1d", "snuspl"]

_MIDDLE_LEVEL = (128 / 255,) * 3

PRESETS: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        "torchvision-kinetics400": {
            "width": 112,
            "height": 112,
            "resize": (171, 128),
            "consecutive_frames": 16,
            "frame_rate": 15.0,
            "mean": KINETICS_MEAN,
            "std": KINETICS_STD,
            "class_names": KINETICS_CLASSES,
        },
        "res2plus1d": {
            "width": 112,
            "height": 112,
            "resize": (171, 128),
            "consecutive_frames": 8,
            "mean": _MIDDLE_LEVEL,
            "std": _MIDDLE_LEVEL,
        },
        "snuspl": {
            "width": 112,
            "height": 112,
            "consecutive_frames": 8,
            "mean": (0.0,) * 3,
            "std": (1 / 255,) * 3,
        },
    }
)
"""torchvision-kinetics400: R2Plus1D_18_Weights.KINETICS400_V1, its transforms and what its accuracy was
measured with. res2plus1d: frames as (x - 128) / 128, for weights in RnB's own layout. snuspl: what
snuspl/rnb feeds those, all of the picture squeezed and its levels as they are."""
