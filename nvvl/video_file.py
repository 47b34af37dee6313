"""An open video file: its packets from any point on, and the decoder that FFmpeg has for them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
import av.error

from nvvl.decoder_setup import DecoderSetup
from nvvl.errors import DamagedPacket, VideoError

# FFmpeg's names of formats that are one stream of bytes, without a table or headers of packets.
UNFRAMED = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "obu")


class VideoFile:
    """The first video stream of a file, read with PyAV and opened when first needed. Not for several threads.

    Whatever reads it may raise VideoError: the file is missing, empty, not a video, or has no video stream.
    """

    def __init__(self, filename: str, *, conceal: bool = False) -> None:
        """With `conceal` the decoder makes up what is damaged; without, it refuses more of such packets."""
        self.filename, self.conceal = filename, conceal
        self._opened: _Opened | None = None
        self._own_decoder: Any = None
        self._touched = False

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.container.close()
        self._opened = self._own_decoder = None

    @property
    def decoder(self) -> Any:
        """PyAV's codec context of the stream."""
        return self._own_decoder or self._open().stream.codec_context

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec, 'h264' say."""
        return str(self.decoder.codec.canonical_name)

    @property
    def is_cut_by_parsing(self) -> bool:
        """Whether where a packet begins is found out from the stream itself, so that damage can join two."""
        return any(name in UNFRAMED for name in self._open().container.format.name.split(","))

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames a second, on average; None where the container does not tell."""
        return self._open().stream.average_rate or None

    @property
    def num_promised_packets(self) -> int:
        """How many packets the container's own index lists, 0 where it has none."""
        return len(self._open().stream.index_entries)

    @property
    def num_declared_frames(self) -> int:
        """How many frames the container's header declares, 0 where it says nothing."""
        return int(self._open().stream.frames)

    def rewind(self) -> None:
        """Start over with a fresh decoder. Always exact, unlike a seek, but it reads the header again."""
        if self._touched:
            self.close()
        self._touched = False

    def restart_decoder(self, setup: DecoderSetup | None = None) -> None:
        """Forget the decoder's pictures, so that packets from another keyframe can follow.

        With a `setup` these do not come from the container, which is then not even opened.
        """
        if setup is None:
            self._own_decoder = None
        elif self._own_decoder is None:
            self._own_decoder, self._touched = setup.decoder(self._decoder_options), True
        self.decoder.flush_buffers()

    def demux(self) -> Iterator[Any]:
        """The packets from where the file stands, in decoding order.

        Raises:
            VideoError: the file cannot be read on.
        """
        opened = self._open()
        self._touched = True
        try:
            for packet in opened.container.demux(opened.stream):
                if packet.size:  # The one without content only says that the end was reached.
                    yield packet
        except (av.error.FFmpegError, IndexError) as error:
            # PyAV has no place for a stream that turns up late: IndexError.
            raise VideoError(self.filename, f"cannot be read: {_words(error)}") from error

    def numbered(self, first: int = 0) -> Iterator[Any]:
        """As `demux`, but with each packet's number as its timestamp; decoders hand it on to the frame.

        What the container says of damage is left out, so that a damaged frame is one of which the decoder
        says so.
        """
        for number, packet in enumerate(self.demux(), first):
            packet.pts, packet.is_corrupt = number, False
            yield packet

    def decode(self, packet: Any) -> list[Any]:
        """The frames that come out when this packet goes in; None drains the decoder.

        Raises:
            DamagedPacket: the decoder makes nothing of it; it goes on with the next one.
            VideoError: it cannot go on.
        """
        try:
            return list(self.decoder.decode(packet))
        except av.error.EOFError:
            return []
        except (av.error.InvalidDataError, av.error.BlockingIOError) as error:
            raise DamagedPacket from error
        except (av.error.PatchWelcomeError, NotImplementedError) as error:
            raise VideoError(self.filename, f"uses a feature that the {self.codec} decoder lacks") from error
        except av.error.FFmpegError as error:
            raise VideoError(self.filename, f"cannot be decoded: {_words(error)}") from error

    def seek(self, timestamp: int) -> None:
        """Go to a keyframe at or before a time in the stream's time base, as far as the container can."""
        opened = self._open()
        self._touched = True
        try:
            opened.container.seek(timestamp, stream=opened.stream, backward=True, any_frame=False)
        except av.error.FFmpegError as error:
            raise VideoError(self.filename, f"cannot be read from a keyframe on: {_words(error)}") from error

    def _open(self) -> _Opened:
        if self._opened is None:
            self._opened = _Opened.of(self.filename)
            decoder = self._opened.stream.codec_context
            decoder.thread_count = 1  # several do not tell of all damage, or not of the same each time
            decoder.options = self._decoder_options
        return self._opened

    @property
    def _decoder_options(self) -> dict[str, str]:
        # HEVC and Motion JPEG do not even say that they made something up.
        return {} if self.conceal else {"err_detect": "explode"}


@dataclass(frozen=True)
class _Opened:
    container: Any
    stream: Any

    @classmethod
    def of(cls, filename: str) -> _Opened:
        container = open_container(filename)
        try:
            if not container.streams.video:
                raise VideoError(filename, "has no video stream")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise VideoError(filename, "uses a codec that FFmpeg does not know")
        except VideoError:
            container.close()
            raise
        return cls(container, stream)


def open_container(filename: str) -> Any:
    """Open a file with PyAV; every way to fail is a VideoError.

    Only files: FFmpeg would take '12:30.mp4' for a protocol, and read from a FIFO or a device for ever.
    """
    try:
        status = os.stat(filename)
        if not stat.S_ISREG(status.st_mode):
            raise VideoError(filename, "cannot be opened: it is no regular file")
        if status.st_size == 0:
            raise VideoError(filename, "is empty")
        # What a title is encoded in does not matter.
        return av.open(f"file:{filename}", metadata_errors="ignore")
    except av.error.InvalidDataError as error:
        raise VideoError(
            filename, "is no video, or is truncated: no container can be read from it"
        ) from error
    except OSError as error:
        raise VideoError(filename, f"cannot be opened: {error.strerror}") from error
    except av.error.FFmpegError as error:
        raise VideoError(filename, f"cannot be opened: {error.strerror}") from error


def _words(error: Exception) -> str:
    """What FFmpeg says of an error, or PyAV."""
    return str(getattr(error, "strerror", None) or error)
