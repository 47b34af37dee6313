"""What a config may say of images, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from models.images.options import ClassifierOptions, LoaderOptions
from rnb.contract import TensorSpec


def test_the_layout_follows_from_the_crop_and_the_number_type() -> None:
    assert LoaderOptions().rows() == (TensorSpec((1, 3, 224, 224), "float32"),)
    wide = LoaderOptions(crop=(64, 32), dtype="uint8")
    assert LoaderOptions(backend="dali", hardware_share=0.5).hardware_share == 0.5
    assert wide.rows() == (TensorSpec((1, 3, 32, 64), "uint8"),)


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"backend": "pillow"}, "backend"),
        ({"resize": 200}, "crop"),
        ({"resize": [300, 200]}, "crop"),
        ({"crop": [0, 1]}, "crop"),
        ({"crop_position": "left"}, "crop_position"),
        ({"mirror": 1.5}, "mirror"),
        ({"backend": "dali", "hardware_share": -0.1}, "hardware_share"),
        ({"backend": "torchcodec", "hardware_share": 0.5}, "hardware_share: is of nvimgcodec and dali"),
        ({"std": [0, 1, 1]}, "std"),
        ({"dtype": "int8"}, "dtype"),
        ({"max_pixels": 0}, "max_pixels"),
        ({"quality": 1}, "quality"),
    ],
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match=place):
        LoaderOptions.model_validate(wrong)


@pytest.mark.parametrize("wrong", [{"num_classes": 0}, {"precision": "int8"}, {"mean": [0, 0]}])
def test_a_wrong_option_of_the_classifier_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClassifierOptions.model_validate(wrong)
