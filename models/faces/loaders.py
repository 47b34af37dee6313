"""The first step of a face pipeline: an image, or frames of a video, in their own size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from models.faces.image_file import read_image
from models.faces.pictures import DEFAULT_MAX_PIXELS, MaxPixels, Pictures, fitted, layout, views
from models.faces.video_file import FrameReader
from nvvl import VideoError, backend_names
from nvvl.size import shown_size
from rnb import contract
from rnb.contract import Batch, Context, Count, Device, Layout, Request, RequestError, Step, point_of

Out = tuple[torch.Tensor, ...] | None
NUM_WARM_UP_VIDEOS = 3
DECODERS_ON_GPU = 4
"""Threads, each with a decoder: one alone leaves the GPU's video engines idle."""


class ImageLoader(Step):
    """An image file, upright, in its own size, or the largest that `max_pixels` allows."""

    class Options(contract.Options):
        max_pixels: MaxPixels = DEFAULT_MAX_PIXELS

    writes_in_place = True
    decodes = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        (spec,) = self.output(options, ())
        self._rows = torch.empty(spec.shape, dtype=torch.uint8, device=context.device)

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return layout(1, options.max_pixels)

    def __call__(self, batch: Batch, out: Out = None) -> Batch:
        (request,) = batch.requests
        try:
            image, original = read_image(request.payload, self.options.max_pixels)
        except ValueError as error:
            raise RequestError(str(error)) from error
        rows = out[0] if out else self._rows
        height, width = image.shape[:2]
        self.context.note_size(request.id, *original)
        views(rows, width, height)[0].copy_(torch.from_numpy(image))
        return batch.give(tensors=[rows], rows=[1], payloads=[Pictures(width, height, *original)])


class VideoLoader(Step):
    """Every `frame_step`-th frame of a video, `max_frames` of them at most.

    A request of a sequence gets the next `max_frames` of them, and none where the video has ended.
    """

    class Options(contract.Options):
        max_pixels: MaxPixels = DEFAULT_MAX_PIXELS
        frame_step: Count = 10
        max_frames: Count = 32
        backend: Literal["auto", "nvdec", "pyav"] = "auto"
        """What decodes; see nvvl.RnBLoader."""

    writes_in_place = True
    decodes = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        (spec,) = self.output(options, ())
        self._rows = torch.empty(spec.shape, dtype=torch.uint8, device=context.device)
        self._reader = FrameReader(
            context.device, options.backend, frame_step=options.frame_step, max_frames=options.max_frames
        )

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return layout(options.max_frames, options.max_pixels)

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        try:
            backend_names.check(options.backend, device.type)
        except ImportError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def default_workers(cls, options: Any, device: Device) -> int:
        return DECODERS_ON_GPU if device.is_gpu else 1

    def __call__(self, batch: Batch, out: Out = None) -> Batch:
        (request,) = batch.requests
        rows, pictures = self._load(request, out[0] if out else self._rows)
        self.context.note_size(request.id, pictures.original_width, pictures.original_height)
        if self._reader.notes:
            self.context.note(request.id, f"{request.payload}: {'; '.join(self._reader.notes)}")
        return batch.give(tensors=[rows], rows=[len(rows)], payloads=[pictures])

    def _load(self, request: Request, rows: torch.Tensor) -> tuple[torch.Tensor, Pictures]:
        """The rows of a video's frames, which are the first of those given. Raises RequestError."""
        video, point = request.payload, point_of(request)
        try:
            original = shown_size(video)
            width, height = fitted(*original, self.options.max_pixels)
            part = None if point is None else point.position
            frames = self._reader.read(video, views(rows, width, height), part=part)
        except VideoError as error:
            raise RequestError(str(error), [request.id]) from error
        return rows[: len(frames)], Pictures(width, height, *original, frames)

    def warm_up(self, row_counts: Sequence[int]) -> None:
        for video in self.context.samples[:NUM_WARM_UP_VIDEOS]:
            try:
                self._load(Request(0, video), self._rows)
            except RequestError:
                continue  # it fails again, and is counted, when its turn comes

    def facts(self) -> dict[str, Any]:
        return {"decoder": self._reader.decoder}

    def close(self) -> None:
        self._reader.close()
