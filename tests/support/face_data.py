"""The weights and pictures of faces that `make data` prepares. Tests of them fail where it did not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.faces.image_file import read_image
from models.faces.pictures import Pictures, views
from models.faces.weights import DESCRIPTOR, DETECTOR, FIVE_POINTS, MTCNN
from rnb.contract import Batch, Request
from tests.support.running import ROOT
from utils import sample_faces

Picture = npt.NDArray[np.uint8]

MAX_PIXELS = 400_000
HEADS = {
    "astronaut": ("gallery/astronaut/0.png", slice(30, 200), slice(130, 300)),
    "hopper": ("gallery/hopper/0.jpg", slice(60, 400), slice(110, 430)),
    "carphone": ("gallery/carphone/0.png", slice(20, 240), slice(70, 270)),
}
"""A part of each picture with the head: dlib's detector takes 2 s for all of one."""


def weights() -> str:
    """The folder of weights."""
    return str(_folder("weights/faces", [DESCRIPTOR, DETECTOR, FIVE_POINTS, *MTCNN]))


def pictures() -> Path:
    """The folder of `gallery` and `views`."""
    return _folder("faces", sample_faces.names())


@cache
def picture(name: str) -> Picture:
    """One of the pictures, RGB."""
    return read_image(str(pictures() / name), 8_000_000)[0]


def head(person: str) -> Picture:
    name, rows, columns = HEADS[person]
    return np.ascontiguousarray(picture(name)[rows, columns])


def requests_of(*pictures: list[Picture], **payload: Any) -> Batch:
    """A request for each list of pictures, which are of one size."""
    rows = torch.zeros((sum(map(len, pictures)), MAX_PIXELS, 3), dtype=torch.uint8)
    requests, first = [], 0
    for number, same in enumerate(pictures):
        height, width = same[0].shape[:2]
        of_request = rows[first : first + len(same)]
        views(of_request, width, height).copy_(torch.from_numpy(np.stack(same)))
        requests.append(Request(number, Pictures(width, height, width, height)._replace(**payload)))
        first += len(same)
    return Batch(tuple(requests), (rows,), rows=tuple((len(same),) for same in pictures))


def _folder(name: str, files: list[str]) -> Path:
    folder = ROOT / "data" / name
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        pytest.fail(f"{folder / missing[0]} is missing: 'make data' prepares it", pytrace=False)
    return folder
