"""The clips of a request as one decodes them with PyAV and OpenCV alone.

The sampler is RnB's, seeded by the request, so the frames are those that RnB takes. Frames up to one second
ahead are decoded to get there, others are sought, which is faster than either alone on the sample videos.
The whole picture becomes RGB, and is then scaled as RnB does, without a low-pass filter: swscale's own
scaling is no faster there, and its other pictures have other classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.work import Work

MOST_DECODED_AHEAD = 30
"""Frames."""


class PlainDecoder:
    """Decodes on the calling thread."""

    def __init__(self, work: Work) -> None:
        cv2.setNumThreads(1)
        self._work, self._sampler = work, work.loader.sampler(work.row[1])

    def clips(self, request: int) -> NDArray[np.uint8]:
        """(num_clips, 3, frames, height, width), RGB."""
        with av.open(self._work.video(request)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            self._sampler.seed(self._work.seed, request)
            starts = self._sampler.sample(stream.frames)
            return self._filled(starts, _frames_at(container, stream, starts, self._work.row[1]))

    def _filled(self, starts: Sequence[int], frames: Iterator[Any]) -> NDArray[np.uint8]:
        _, length, height, width = self._work.row
        clips = np.empty((len(starts), *self._work.row), np.uint8)
        for number, frame in enumerate(frames):
            picture = cv2.resize(frame.to_ndarray(format="rgb24"), (width, height))
            clips[number // length, :, number % length] = picture.transpose(2, 0, 1)
        return clips


def _frames_at(container: Any, stream: Any, starts: Sequence[int], length: int) -> Iterator[Any]:
    """So many frames from each start on, which ascend; the frame rate is constant."""
    frames, behind = container.decode(stream), -1
    for start in starts:
        if start - behind > MOST_DECODED_AHEAD:
            container.seek(_time_of(stream, start), stream=stream)
            frames = container.decode(stream)
        for frame in frames:
            behind = round((frame.pts - (stream.start_time or 0)) * stream.time_base * stream.average_rate)
            if behind >= start:
                yield frame
            if behind >= start + length - 1:
                break


def _time_of(stream: Any, frame: int) -> int:
    """In the stream's own unit."""
    return int((stream.start_time or 0) + round(frame / stream.average_rate / stream.time_base))
