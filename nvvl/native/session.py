"""One decode session of a GPU's video engine, kept open from file to file."""

from __future__ import annotations

import ctypes
import weakref
from array import array
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nvvl.clips import Places
from nvvl.index import Run, VideoIndex
from nvvl.native.library import CODECS, Packets, Wanted, call, functions
from nvvl.reader import Contents, contents_of
from nvvl.video_file import VideoFile

# By how many pictures decoding runs ahead of mapping; 2 to 4 are recommended (nvcuvid.h).
DELAY = 4


class NativeSession:
    """Decodes packets, in the order of one CUDA stream. For use by one thread.

    Raises:
        EngineError: the driver gives no session.
    """

    def __init__(
        self,
        device_index: int,
        codec: str,
        bit_depth: int,
        stream: torch.cuda.Stream,
        width: int,
        height: int,
        *,
        delay: int = DELAY,
    ) -> None:
        self.kind = device_index, codec, bit_depth, width, height
        self.max_width, self.max_height = width, height
        session = ctypes.c_void_p()
        call(
            functions().rnb_open,
            *(device_index, CODECS[codec], bit_depth, width, height, delay, stream.cuda_stream),
            ctypes.byref(session),
        )
        self._session = session
        self.close = weakref.finalize(self, functions().rnb_close, session)

    def collect(self, file: VideoFile, index: VideoIndex, run: Run, places: Places, clips: Tensor) -> None:
        """Decode a run, and copy each wanted frame to its surfaces in (clip, frame, rows, width).

        Raises:
            EngineError: the driver refuses a packet. UnsupportedVideo: its pictures are not what the index
            says. VideoError: the file cannot be read.
        """
        surfaces_of = {
            frame: [clip * clips.shape[1] + place for clip, place in places.of_frame[frame]]
            for frame in run.frames
        }
        numbers, contents = contents_of(file, index, run)
        arrived, _ = self.feed(index, numbers, contents, surfaces_of, clips.flatten(0, 1))
        places.arrived |= arrived

    def feed(
        self,
        index: VideoIndex,
        numbers: Sequence[int],
        contents: Contents,
        surfaces_of: Mapping[int, Sequence[int]],
        surfaces: Tensor,
        *,
        begins: bool = True,
        goes_on: bool = False,
    ) -> tuple[set[int], int]:
        """Decode packets of these numbers, and copy each wanted frame to its places in (places, rows, width).

        Args:
            begins: they follow on no others.
            goes_on: stop when the first of the wanted frames has come; others will follow.

        Returns:
            The frames that have come, and how many packets were fed.

        Raises:
            EngineError: the driver refuses a packet. UnsupportedVideo: its pictures are not what the index
            says. After either, the session is to be closed.
        """
        stamps = array("q", map(index.order.__getitem__, numbers))
        frame_of = {index.order[index.packet_of_frame[frame]]: frame for frame in surfaces_of}
        pairs = sorted((stamp, place) for stamp, frame in frame_of.items() for place in surfaces_of[frame])
        wanted = array("q", (stamp for stamp, _ in pairs)), array("q", (place for _, place in pairs))
        arrived = ctypes.create_string_buffer(len(pairs))
        nal_format = index.info.nal_format
        headers = nal_format.parameter_sets if nal_format and begins else b""
        packets = Packets(
            contents.content,
            *(_address(contents.begins), _address(contents.sizes), _address(stamps), len(stamps)),
            *(headers, len(headers), nal_format.length_size if nal_format else 0),
            goes_on,
        )
        pictures = Wanted(
            *(_address(wanted[0]), _address(wanted[1]), ctypes.addressof(arrived), len(pairs)),
            *(surfaces.data_ptr(), index.info.width, index.info.height),
        )
        call(functions().rnb_decode, self._session, ctypes.byref(packets), ctypes.byref(pictures))
        has_come = zip(pairs, arrived.raw, strict=True)
        return {frame_of[stamp] for (stamp, _), came in has_come if came}, packets.fed


def _address(numbers: array[int]) -> int:
    return numbers.buffer_info()[0]
