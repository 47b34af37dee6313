"""The first step of a pipeline of live streams: the frames of each, decoded one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from nvvl import VideoError
from nvvl.errors import UnsupportedVideo
from nvvl.window import Window
from rnb.contract import (
    Batch,
    Context,
    Count,
    Layout,
    Request,
    RequestError,
    StatefulStep,
    TensorSpec,
    point_of,
)
from rnb.contract.sequence import FRAME, FRAME_STEP

if TYPE_CHECKING:
    import torch

    from nvvl.frame_stream import FrameStream
    from nvvl.gpu_frame_stream import GpuFrameStream
    from nvvl.native.session import NativeSession

    Out = tuple[torch.Tensor, ...] | None
    Stream = FrameStream | GpuFrameStream

NUM_WARM_UP_VIDEOS = 3


class StreamDecoder(StatefulStep):
    """The frame of a stream that each request is for: (1, 3, height, width), RGB, bytes.

    It keeps a decoder for each stream, so that no frame is decoded twice: a session of the GPU's video
    engine, or FFmpeg on the CPU, also for what the engine does not decode. Requests of --streams say which
    frame they are for; those of --sequences take every frame.
    """

    class Options(StatefulStep.Options):
        width: Count = 224
        height: Count = 224
        resize: tuple[Count, Count] | None = None
        """Scale frames to this width and height, and cut out the middle; null: squeeze all of it in."""

    writes_in_place = True
    needs_torch = True

    def __init__(self, options: Any, context: Context) -> None:
        import torch

        super().__init__(options, context)
        self._window = Window.centred(options.width, options.height, options.resize)
        self._spare: list[NativeSession] = []
        (spec,) = self.output(options, ())
        self._row = torch.empty(spec.shape, dtype=torch.uint8, device=context.device)

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        Window.centred(options.width, options.height, options.resize)
        return (TensorSpec((1, 3, options.height, options.width), "uint8"),)

    def start(self, sequence: Hashable) -> dict[str, Stream | VideoError]:
        """Of a stream: its decoder, or why it has none, once its first request has said which video it is."""
        return {}

    def end(self, sequence: Hashable, state: dict[str, Stream | VideoError]) -> None:
        for stream in state.values():
            if not isinstance(stream, VideoError):
                stream.close()

    def __call__(self, batch: Batch, out: Out = None) -> Batch:
        (request,) = batch.requests
        row = out[0] if out else self._row
        try:
            self._decode(request, row[0])
        except VideoError as error:
            raise RequestError(str(error), [request.id]) from error
        return batch.give(tensors=[row], rows=[1])

    def _decode(self, request: Request, picture: torch.Tensor) -> None:
        point, told = point_of(request), request.parameters or {}
        assert point is not None  # the others do not come here
        streams: dict[str, Stream | VideoError] = self.states[point.id]
        video = request.payload
        if video not in streams:
            streams[video] = self._opened_or_not(video, told.get(FRAME_STEP, 1))
        stream = streams[video]
        if isinstance(stream, VideoError):
            raise VideoError(video, stream.reason)
        stream.picture_into(told.get(FRAME, point.position or 0), picture)

    def _opened_or_not(self, video: str, frame_step: int) -> Stream | VideoError:
        """Why a file cannot be used may take as long to find out as reading all of it: once is enough."""
        try:
            return self._opened(video, frame_step)
        except VideoError as error:
            return error

    def _opened(self, video: str, frame_step: int = 1) -> Stream:
        from nvvl.frame_stream import FrameStream
        from nvvl.gpu_frame_stream import GpuFrameStream

        if self.context.where.is_gpu:
            with contextlib.suppress(UnsupportedVideo):
                return GpuFrameStream(
                    video, self._window, self.context.device, frame_step=frame_step, spare=self._spare
                )
        return FrameStream(video, self._window, frame_step=frame_step)

    def warm_up(self, row_counts: Sequence[int]) -> None:
        """Also open a session of the GPU's video engine for each stream that is to come."""
        num_sessions = self.context.num_sequences if self.context.where.is_gpu else 0
        count = max(NUM_WARM_UP_VIDEOS, num_sessions) if self.context.samples else 0
        with contextlib.ExitStack() as streams:
            for video in islice(cycle(self.context.samples), count):
                # What fails does so again, and is counted, when its turn comes.
                with contextlib.suppress(VideoError):
                    stream = streams.enter_context(contextlib.closing(self._opened(video)))
                    stream.picture_into(0, self._row[0])

    def close(self) -> None:
        for session in self._spare:
            session.close()
