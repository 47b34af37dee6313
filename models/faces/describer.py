"""Descriptors of faces: each is aligned by five points, and 128 numbers are made of its pixels.

Two faces of one person have descriptors less than about 0.6 apart, by which dlib's network finds 99.38 % of
the pairs of Labeled Faces in the Wild right (https://github.com/davisking/dlib-models).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.faces.dlib_build import dlib_facts, dlib_on
from models.faces.face import Face
from models.faces.weights import DESCRIPTOR, FIVE_POINTS, weight_file
from rnb.contract import CPU, Device

SIZE = 128
Picture = npt.NDArray[np.uint8]
Descriptors = npt.NDArray[np.float32]


class Describer:
    """dlib's networks for five points and for descriptors. One instance serves one thread.

    Raises:
        ValueError: dlib or weights are missing.
    """

    def __init__(self, folder: str, device: Device = CPU) -> None:
        self._dlib = dlib_on(device)
        self._points: Any = self._dlib.shape_predictor(weight_file(folder, FIVE_POINTS))
        self._network: Any = self._dlib.face_recognition_model_v1(weight_file(folder, DESCRIPTOR))

    def describe(self, picture: Picture, faces: Sequence[Face]) -> Descriptors:
        """The descriptors (faces, 128) of faces in a picture (height, width, 3), RGB."""
        if not faces:
            return np.zeros((0, SIZE), np.float32)
        points = [self._points(picture, self._square(face)) for face in faces]
        vectors = self._network.compute_face_descriptor(picture, self._dlib.full_object_detections(points))
        return np.asarray(vectors, np.float32)

    def _square(self, face: Face) -> Any:
        """As wide as the box, about its centre: what the five points were trained on."""
        left, top, right, bottom = face.box
        middle, half = (top + bottom) / 2, (right - left) / 2
        edges = (left, middle - half, right - 1, middle + half - 1)
        return self._dlib.rectangle(*map(round, edges))

    def facts(self) -> dict[str, Any]:
        return dlib_facts(self._dlib)
