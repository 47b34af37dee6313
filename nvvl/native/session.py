"""One decode session of a GPU's video engine, kept open from file to file."""

from __future__ import annotations

import ctypes
import weakref
from array import array

import torch
from torch import Tensor

from nvvl.clips import Places
from nvvl.index import Run, VideoIndex
from nvvl.native.library import CODECS, Packets, Wanted, call, functions
from nvvl.reader import contents_of
from nvvl.video_file import VideoFile


class NativeSession:
    """Decodes runs of packets, in the order of one CUDA stream. For use by one thread.

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
    ) -> None:
        self.max_width, self.max_height = width, height
        session = ctypes.c_void_p()
        call(
            functions().rnb_open,
            *(device_index, CODECS[codec], bit_depth, width, height, stream.cuda_stream),
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
        stored = contents_of(file, index, run)
        stamps = array("q", map(index.order.__getitem__, index.needed(run)))
        stamp_of = {index.order[index.packet_of_frame[frame]]: frame for frame in run.frames}
        pairs = sorted(
            (stamp, clip * clips.shape[1] + place)
            for stamp, frame in stamp_of.items()
            for clip, place in places.of_frame[frame]
        )
        wanted = array("q", (stamp for stamp, _ in pairs)), array("q", (place for _, place in pairs))
        arrived = ctypes.create_string_buffer(len(pairs))
        nal_format = index.info.nal_format
        headers = nal_format.parameter_sets if nal_format else b""
        packets = Packets(
            stored.content,
            *(_address(stored.begins), _address(stored.sizes), _address(stamps), len(stamps)),
            *(headers, len(headers), nal_format.length_size if nal_format else 0),
        )
        height, width = index.info.height, index.info.width
        pictures = Wanted(
            *(_address(wanted[0]), _address(wanted[1]), ctypes.addressof(arrived), len(pairs)),
            *(clips.data_ptr(), width, height),
        )
        call(functions().rnb_decode, self._session, ctypes.byref(packets), ctypes.byref(pictures))
        for (stamp, _), has_come in zip(pairs, arrived.raw, strict=True):
            if has_come:
                places.arrived.add(stamp_of[stamp])


def _address(numbers: array[int]) -> int:
    return numbers.buffer_info()[0]
