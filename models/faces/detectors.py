"""Finding faces: dlib's CNN detector, or MTCNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, StrictInt

from models.faces.dlib_build import check_dlib, dlib_facts, dlib_on
from models.faces.face import Face, FaceResult, Found, described, result_of
from models.faces.mtcnn import Mtcnn, Sensitivity
from models.faces.pictures import Pictures, views
from models.faces.weights import DETECTOR, MTCNN, WeightOptions, weight_file
from rnb.contract import Batch, Context, Count, Device, Layout, RequestError, Step

Probability = Annotated[float, Field(ge=0, le=1)]


class Detector(Step):
    """Finds the faces of each picture, and hands the pictures on with them."""

    batches_requests = True
    result_kind = FaceResult

    def find(self, pictures: torch.Tensor) -> Sequence[Sequence[Face]]:
        """The faces of each of the pictures (n, height, width, 3), RGB, uint8."""
        raise NotImplementedError

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if len(inputs) != 1 or len(inputs[0].shape) != 3 or inputs[0].shape[2] != 3:
            raise ValueError(f"{cls.__name__} takes pictures, so ImageLoader or VideoLoader must come before")
        return inputs

    def __call__(self, batch: Batch) -> Batch:
        if any(not isinstance(one.payload, Pictures) or one.num_segments > 1 for one in batch.requests):
            raise RequestError("a detector takes whole requests of ImageLoader or VideoLoader, no segments")
        found: list[tuple[tuple[Face, ...], ...]] = [()] * len(batch)
        rows, sizes = batch.split(), [(one.width, one.height) for one in batch.payloads]
        for size in dict.fromkeys(sizes):
            same = [place for place, one in enumerate(sizes) if one == size and len(rows[place])]
            if not same:
                continue
            faces = iter(self.find(torch.cat([views(rows[place], *size) for place in same])))
            for place in same:
                found[place] = tuple(tuple(sorted(next(faces))) for _ in rows[place])
        payloads = [Found(*pair) for pair in zip(batch.payloads, found, strict=True)]
        return batch.give(tensors=batch.tensors, rows=batch.rows, payloads=payloads)

    def warm_up(self, row_counts: Sequence[int]) -> None:
        """On a GPU the first call loads what all others need; the sizes of pictures are not known yet."""
        if self.context.where.is_gpu:
            self.find(torch.randint(0, 256, (1, 480, 640, 3), dtype=torch.uint8, device=self.context.device))

    def results(self, output: Batch) -> Sequence[Any]:
        return [
            result_of(
                found.pictures, [[described(found.pictures, face) for face in faces] for faces in found.faces]
            )
            for found in output.payloads
        ]


class DlibDetector(Detector):
    """dlib's max-margin CNN, which finds upright faces of about 80 pixels and more.

    A build of dlib with CUDA runs it on a GPU, where it pays to search several pictures at once.
    """

    class Options(WeightOptions):
        upsample: Annotated[StrictInt, Field(ge=0, le=3)] = 0
        """How often pictures are doubled first: once for faces of 40 pixels, in four times the time."""
        max_pictures: Count = 1
        """Pictures of one size that go through the network at once; it bounds the memory."""

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._dlib = dlib_on(context.where)
        self._detector: Any = self._dlib.cnn_face_detection_model_v1(weight_file(options.weights, DETECTOR))

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        check_dlib(device)
        weight_file(options.weights, DETECTOR)

    def find(self, pictures: torch.Tensor) -> list[list[Face]]:
        arrays = list(pictures.cpu().numpy())
        return [
            [Face(_edges(face.rect), face.confidence) for face in faces]
            for faces in self._detector(arrays, self.options.upsample, self.options.max_pictures)
        ]

    def facts(self) -> dict[str, Any]:
        return {"detector": "dlib", **dlib_facts(self._dlib)}


class MtcnnDetector(Detector):
    """MTCNN in PyTorch, on the CPU or a GPU: all pictures of one size in a call at once."""

    class Options(WeightOptions):
        min_face_size: Annotated[StrictInt, Field(ge=12)] = Sensitivity.min_face_size
        thresholds: tuple[Probability, Probability, Probability] = Sensitivity.thresholds
        max_pictures: Count = 16
        """Pictures of one size that go through the networks at once; it bounds the memory."""

    takes_turns = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        sensitivity = Sensitivity(min_face_size=options.min_face_size, thresholds=options.thresholds)
        self._mtcnn = Mtcnn(options.weights, context.device, sensitivity)

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        for name in MTCNN:
            weight_file(options.weights, name)

    def find(self, pictures: torch.Tensor) -> list[list[Face]]:
        parts = pictures.split(self.options.max_pictures)
        return [faces for part in parts for faces in self._mtcnn.find(part)]

    def facts(self) -> dict[str, Any]:
        return {"detector": "mtcnn"}


def _edges(rectangle: Any) -> tuple[float, float, float, float]:
    """Of dlib's rectangles the right and lower edges are within."""
    return rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1
