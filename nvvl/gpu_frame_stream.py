"""The frames of a video one after the other, decoded on a GPU's video engine."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nvvl import engine_pictures
from nvvl.convert import Surfaces
from nvvl.damage import Damage
from nvvl.errors import EngineError, UnsupportedVideo, VideoError
from nvvl.index import Run, VideoIndex
from nvvl.index_cache import IndexKey
from nvvl.indexing import index_of
from nvvl.native import library
from nvvl.native.session import NativeSession
from nvvl.reader import PACKETS_PER_READ, Contents, chunks_of
from nvvl.video_file import VideoFile
from nvvl.window import Window

# A packet can release several pictures at once, at the end of a stream 16 and the one of the delay; those
# that are wanted later are kept meanwhile.
DELAY = 1
NUM_KEPT = 20
NOTHING: tuple[list[int], Contents] = [], Contents(b"", array("q"), array("q"))


class GpuFrameStream:
    """As `nvvl.frame_stream.FrameStream`, into tensors on a GPU, in the order of the CUDA stream that is the
    current one where it begins.

    `spare` are sessions that nobody uses, opened in the order of the same CUDA stream: one of them is taken
    before another is opened, which takes the driver up to a second where many are, and it goes back there.

    Raises:
        VideoError: the file cannot be used.
        UnsupportedVideo: it, or this machine, is not for this; the CPU may decode it.
    """

    def __init__(
        self,
        filename: str,
        window: Window,
        device: torch.device,
        *,
        frame_step: int = 1,
        spare: list[NativeSession] | None = None,
    ) -> None:
        if not library.is_available():
            raise UnsupportedVideo("the native session is not there: python -m nvvl.native.build")
        self._file, self._window, self._frame_step = VideoFile(filename), window, frame_step
        try:
            self._state = IndexKey.of(filename, conceal=False, decode_all=False)
            self._index: VideoIndex = index_of(self._file)
            engine_pictures.check(self._index, device)
        except BaseException:
            self._file.close()
            raise
        self._damage, self._device = Damage(self._index), device
        size = NUM_KEPT * engine_pictures.num_bytes(self._index.info)
        memory = torch.empty(size, dtype=torch.uint8, device=device)
        self._kept: Surfaces = engine_pictures.surfaces(memory, self._index.info)
        self._session: NativeSession | None = None
        self._spare = spare
        self._course = _Course()

    def picture_into(self, number: int, out: Tensor) -> None:
        """Frame `number` of a stream that goes on where the video begins again: RGB, (3, height, width).

        Raises:
            VideoError: the frame cannot be decoded, or damage may have changed it; from the first picture
                after the file was changed, replaced or removed on, all of them.
        """
        with self._state.held(self._file.filename):
            self._picture_into(number, out)

    def _picture_into(self, number: int, out: Tensor) -> None:
        wanted = number % self._index.num_frames
        due = self._course.next
        try:
            if due is None or (wanted - due) % self._frame_step or wanted < due:
                self._start_at(wanted)
            place = self._place_of(wanted)
        except (EngineError, UnsupportedVideo) as error:
            self._drop()
            raise VideoError(self._file.filename, f"the GPU's video engine failed: {error}") from error
        except VideoError:
            self._drop()
            raise
        if place is None or self._damage.is_suspect(wanted):
            self._drop()
            raise VideoError(self._file.filename, f"is damaged: frame {wanted} cannot be decoded")
        self._course.next = wanted + self._frame_step
        picture = Surfaces(
            self._kept.data[place : place + 1], self._kept.width, self._kept.height, self._kept.chroma_row
        )
        engine_pictures.convert(picture, out[None, :, None], self._index.info, self._window)

    def close(self) -> None:
        """Give back the decoder. May be called twice."""
        with contextlib.suppress(EngineError, UnsupportedVideo):
            if self._session is not None and self._spare is not None:
                self._end_course()
                self._spare.append(self._session)
                self._session = None
        self._drop()
        self._file.close()

    def _place_of(self, wanted: int) -> int | None:
        """Where the frame is kept, once it has come; None: it does not come."""
        course = self._course
        course.places = {frame: place for frame, place in course.places.items() if frame >= wanted}
        while wanted not in course.places:
            if course.has_ended:
                return None
            if not course.numbers:
                course.numbers, course.contents = next(course.chunks, NOTHING)
            self._feed(wanted, course)
        return course.places[wanted]

    def _feed(self, wanted: int, course: _Course) -> None:
        """The next packets, until the frame comes; where there are none, the end of the stream."""
        assert self._session is not None, "_start_at opens one"
        coming = range(wanted, self._index.num_frames, self._frame_step)
        free = (place for place in range(NUM_KEPT) if place not in course.places.values())
        missing = (frame for frame in coming if frame not in course.places)
        surfaces_of = {frame: [place] for frame, place in zip(missing, free, strict=False)}
        course.has_ended = not course.numbers
        arrived, num_fed = self._session.feed(
            *(self._index, course.numbers, course.contents, surfaces_of, self._kept.data),
            begins=course.begins,
            goes_on=not course.has_ended,
        )
        course.begins = False
        course.places |= {frame: surfaces_of[frame][0] for frame in arrived}
        course.numbers, course.contents = course.numbers[num_fed:], course.contents.without_first(num_fed)

    def _start_at(self, first: int) -> None:
        index = self._index
        if self._session is None:
            self._session = self._a_session()
        else:
            self._end_course()
        wanted = frozenset(range(first, index.num_frames, self._frame_step))
        run = Run(index.start_of(first), len(index.packets) - 1, wanted)
        self._course = _Course(first, chunks_of(self._file, index, run, PACKETS_PER_READ))

    def _a_session(self) -> NativeSession:
        info, index = self._index.info, self._device.index
        bit_depth = engine_pictures.BIT_DEPTHS[info.pixel_format]
        kind = index, info.codec, bit_depth, info.width, info.height
        spare = self._spare or []
        for session in spare:
            if session.kind == kind:
                spare.remove(session)
                return session
        stream = torch.cuda.current_stream(self._device)
        return NativeSession(*kind[:3], stream, *kind[3:], delay=DELAY)

    def _end_course(self) -> None:
        """Have the session let go of what it holds of the video, so that it can begin another."""
        if self._session is not None and not self._course.has_ended:
            self._session.feed(self._index, *NOTHING, {}, self._kept.data, begins=False)
        self._course = _Course()

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session, self._course = None, _Course()


@dataclass
class _Course:
    """How far a stream has come since it was last begun anew."""

    next: int | None = None
    """The frame that is asked for next, if nothing is left out."""
    chunks: Iterator[tuple[list[int], Contents]] = field(default_factory=lambda: iter(()))
    numbers: list[int] = field(default_factory=list)
    """Packets that were read and not yet fed."""
    contents: Contents = NOTHING[1]
    places: dict[int, int] = field(default_factory=dict)
    """Where the frames are that have come."""
    begins: bool = True
    has_ended: bool = False
