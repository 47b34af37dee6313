"""The frames of a video one after the other, as a camera gives them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nvvl.damage import Damage
from nvvl.errors import VideoError
from nvvl.index import Run, VideoIndex
from nvvl.index_cache import IndexKey
from nvvl.indexing import index_of
from nvvl.pyav_backend import PictureScaler, decoded_frames
from nvvl.video_file import VideoFile
from nvvl.window import Window


class FrameStream:
    """Frames of a video in ascending order, over and over: behind its last one its first one comes again.

    They are those that RnBLoader gives of any place in the file. What no frame that is asked for refers to is
    not decoded. On the CPU; for use by one thread.

    Args:
        frame_step: how far the frames are apart that will be asked for.

    Raises:
        VideoError: the file cannot be used.
    """

    def __init__(self, filename: str, window: Window, *, frame_step: int = 1) -> None:
        self._file, self._scaler, self._frame_step = VideoFile(filename), PictureScaler(window), frame_step
        try:
            self._state = IndexKey.of(filename, conceal=False, decode_all=False)
            self._index: VideoIndex = index_of(self._file)
        except VideoError:
            self._file.close()
            raise
        self._damage, self._start = Damage(self._index), 0
        """Of what is being decoded: what is known of its damage, and the packet that it began with."""
        self._frames: Iterator[tuple[int, Any]] = iter(())
        self._ahead: deque[tuple[int, Any]] = deque()
        """Those that have come and are not asked for yet."""
        self._latest = list(itertools.accumulate(self._index.frame_of_packet, max))
        """By packet: the latest frame that it or one before it holds."""
        self._next: int | None = None

    def picture(self, number: int) -> npt.NDArray[np.uint8]:
        """Frame `number` of a stream that goes on where the video begins again: RGB, (3, height, width).

        Raises:
            VideoError: the frame cannot be decoded, or damage may have changed it; from the first picture
                after the file was changed, replaced or removed on, all of them.
        """
        with self._state.held(self._file.filename):
            return self._picture(number)

    def _picture(self, number: int) -> npt.NDArray[np.uint8]:
        wanted = number % self._index.num_frames
        if self._next is None or (wanted - self._next) % self._frame_step or wanted < self._next:
            self._start_at(0 if self._index.counted else self._index.start_of(wanted), wanted)
        self._next = None
        frame = self._take(wanted)
        if frame is None and self._start > 0:
            # A decoder that begins within a file misses what leading pictures refer to: no damage.
            self._start_at(0, wanted)
            frame = self._take(wanted)
        self._next = wanted + self._frame_step
        if frame is None:
            raise VideoError(self._file.filename, f"is damaged: frame {wanted} cannot be decoded")
        return (self._scaler.convert(frame, self._file.filename) + 0.5).astype(np.uint8)

    def _take(self, wanted: int) -> Any | None:
        """The frame; None where it does not come, or damage may have changed it.

        A decoder says that a picture is damaged when it gives it out, so those come first that this one may
        refer to, though they are shown later.
        """
        index, ahead = self._index, self._ahead
        last = wanted if index.counted else self._latest[index.packet_of_frame[wanted]]
        while not ahead or ahead[-1][0] < last:
            found, frame = next(self._frames, (index.num_frames, None))
            ahead.append((found, frame if found >= wanted else None))
        while ahead[0][0] < wanted:
            ahead.popleft()
        is_there = ahead[0][0] == wanted and not self._damage.is_suspect(wanted)
        return ahead[0][1] if is_there else None

    def picture_into(self, number: int, out: Tensor) -> None:
        """The same into bytes of (3, height, width) on any device."""
        out.copy_(torch.from_numpy(self.picture(number)))

    def _start_at(self, packet: int, first: int) -> None:
        """Decode from a packet on; `first` is the first frame that is wanted."""
        index = self._index
        wanted = frozenset(range(first, index.num_frames, self._frame_step))
        self._start = packet
        run = Run(packet, len(index.packets) - 1, wanted)
        self._damage = Damage(index)
        self._frames, self._ahead = decoded_frames(self._file, index, run, self._damage), deque()

    def close(self) -> None:
        """Give back the decoder. May be called twice."""
        self._frames, self._ahead, self._next = iter(()), deque(), None
        self._file.close()
