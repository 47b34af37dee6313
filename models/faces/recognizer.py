"""The last step of a face pipeline: who the faces are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field

from models.faces.describer import Describer
from models.faces.dlib_build import check_dlib
from models.faces.face import Face, FaceResult, Found, described, result_of
from models.faces.gallery import open_gallery
from models.faces.pictures import Pictures, views
from models.faces.watched_gallery import WatchedGallery
from models.faces.weights import WeightOptions
from rnb.contract import Batch, Context, Device, Layout, RequestError, Step


class FaceRecognizer(Step):
    """Aligns and describes each face that was found, and looks it up in the gallery."""

    class Options(WeightOptions):
        gallery: str = "data/faces/gallery"
        """A folder with a folder of pictures for each person, by whose name it is called."""
        threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.6
        """The distance between descriptors up to which a face is the nearest one's."""
        refresh_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
        """How often it is looked whether the gallery has other pictures; null: at the start alone."""

    batches_requests = True
    result_kind = FaceResult

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._describer = Describer(options.weights, context.where)
        self._gallery = WatchedGallery(options.gallery, options.weights, options.refresh_s)

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if not inputs or inputs[0].dtype != "uint8":
            raise ValueError("FaceRecognizer takes faces in pictures, so a detector must come before")
        return ()

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        """The gallery is described here, if it has changed, so that the replicas find it done."""
        check_dlib(device)
        open_gallery(options.gallery, options.weights)

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(
            payloads=[
                self._recognize(request.payload, rows)
                for request, rows in zip(batch.requests, batch.split(), strict=True)
            ]
        )

    def _recognize(self, found: Any, rows: torch.Tensor) -> dict[str, Any]:
        if not isinstance(found, Found):
            raise RequestError("FaceRecognizer takes what a detector found, so one must come before")
        pictures = found.pictures
        each = views(rows, pictures.width, pictures.height)
        named = [self._name(pictures, *pair) for pair in zip(each, found.faces, strict=True)]
        return result_of(pictures, named)

    def _name(self, pictures: Pictures, picture: torch.Tensor, faces: Sequence[Face]) -> list[dict[str, Any]]:
        """The faces of one of the pictures, as results have them."""
        descriptors = self._describer.describe(picture.cpu().numpy(), faces)
        matches = self._gallery.current().match(descriptors, self.options.threshold)
        return [
            {**described(pictures, face), "name": match.name, "distance": round(match.distance, 4)}
            for face, match in zip(faces, matches, strict=True)
        ]

    def facts(self) -> dict[str, Any]:
        names = self._gallery.current().names
        return {**self._describer.facts(), "gallery": {"people": len(set(names)), "pictures": len(names)}}
