"""The index of a plain MP4 or MOV of H.264 or HEVC, without demuxing: from its tables, its parameter sets,
and the first bytes of each NAL unit. The same as `nvvl.indexing` gives, or none.

No picture is decoded for it. Should the stream be damaged, decoding notices when it gets there.
"""

from __future__ import annotations

import os
import stat
from array import array

import numpy as np
import numpy.typing as npt

from nvvl.bitstream import NalFormat, h264_type, hevc_type
from nvvl.decoder_setup import DecoderSetup
from nvvl.file_pieces import FilePieces
from nvvl.index import Packets, StreamInfo, VideoIndex
from nvvl.mp4_boxes import Numbers, OddFile, layout_of
from nvvl.mp4_tables import Mp4Video, video_of
from nvvl.packet_units import LENGTH_SIZE, PARAMETER_SETS, SUPPLEMENTS, Units, check_orientation
from nvvl.picture import LUMA_WEIGHTS, UNDECLARED, UPRIGHT, Color, Orientation
from nvvl.picture_format import PictureFormat, UnknownFormat, picture_format
from nvvl.picture_order import H264_SPS, HEVC_SPS
from nvvl.slice_order import is_stored_as_shown

# As many pictures as a decoder may hold (H.264, A.3.1 and E.2.1); told of more, FFmpeg ends the process.
MAX_REORDER_DEPTH = 16


def index_from_tables(filename: str) -> VideoIndex | None:
    """The index of a file, or None where it is not plain, or no such file: then demuxing has to tell."""
    try:
        with open(filename, "rb", buffering=0, opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            video = video_of(layout_of(file.fileno(), status.st_size))
            return _index(filename, video, FilePieces(file.fileno(), status.st_size))
    except (OSError, OddFile, UnknownFormat):
        return None


def _without_waiting(filename: str, flags: int) -> int:
    """Nobody may ever write to a FIFO."""
    return os.open(filename, flags | os.O_NONBLOCK)


def _index(filename: str, video: Mp4Video, file: FilePieces) -> VideoIndex:
    nal_format, parameter_units, sequence = _nal_format(video)
    info = _info(video, nal_format, picture_format(video.codec, sequence))
    units = Units(video.codec, file, video.positions, video.sizes)
    units.check_parameter_sets(parameter_units)
    units.check_orientation()
    units.pictures()
    starts = _starts(video, units)
    in_order = np.argsort(video.pts, kind="stable")
    if (np.diff(video.pts[in_order]) == 0).any():
        raise OddFile
    if np.array_equal(in_order, np.arange(len(in_order))) and not is_stored_as_shown(units, parameter_units):
        raise OddFile
    order = np.empty_like(in_order)
    order[in_order] = np.arange(len(in_order))
    place_of_packet = _numbers(order)
    return VideoIndex(
        filename=filename,
        info=info,
        num_frames=len(in_order),
        packets=Packets(
            _stamps(video.pts), _stamps(video.dts), _stamps(video.positions), _numbers(video.sizes)
        ),
        order=place_of_packet,
        frame_of_packet=place_of_packet,
        packet_of_frame=_numbers(in_order),
        unreferenced=units.unreferenced(),
        starts=_numbers(starts),
        counted=False,
        as_stored=True,
        damage=_numbers(starts[:0]),
        num_sure=len(in_order),
        decoder_setup=_decoder_setup(video, info, order),
    )


def _nal_format(video: Mp4Video) -> tuple[NalFormat, list[bytes], bytes]:
    """The format, the units of its parameter sets, and the one of the only sequence."""
    nal_format = NalFormat.of(video.codec, video.extradata)
    units = nal_format.parameter_units
    kind_of, sequence = (h264_type, H264_SPS) if video.codec == "h264" else (hevc_type, HEVC_SPS)
    sequences = [unit for unit in units if kind_of(unit) == sequence]
    is_known = all(
        kind_of(unit) in (*PARAMETER_SETS[video.codec], *SUPPLEMENTS[video.codec]) for unit in units
    )
    check_orientation(video.codec, (u for u in units if kind_of(u) in SUPPLEMENTS[video.codec]))
    if nal_format.length_size != LENGTH_SIZE or not is_known or len(sequences) != 1:
        raise OddFile
    return nal_format, units, sequences[0]


def _info(video: Mp4Video, nal_format: NalFormat, picture: PictureFormat) -> StreamInfo:
    if (video.width, video.height) != (picture.width, picture.height):
        raise OddFile
    matrix = UNDECLARED[0] if picture.matrix is None else picture.matrix
    full_range = picture.full_range or 0
    if video.color not in (None, (matrix, full_range), (matrix, None)):
        raise OddFile
    if matrix not in (*LUMA_WEIGHTS, *UNDECLARED):
        raise OddFile
    return StreamInfo(
        codec=video.codec,
        pixel_format=picture.pixel_format,
        width=picture.width,
        height=picture.height,
        interlaced=False,
        color=Color.declared(matrix, picture.height, full_range=bool(full_range)),
        orientation=Orientation.from_matrix(video.matrix),
        nal_format=nal_format,
        frame_rate=video.frame_rate,
    )


def _decoder_setup(video: Mp4Video, info: StreamInfo, order: Numbers) -> DecoderSetup | None:
    """None where pictures are turned, as the container says, or more are late than a decoder holds."""
    reorder_depth = int((np.arange(len(order)) - order).max())
    if info.orientation != UPRIGHT or reorder_depth > MAX_REORDER_DEPTH:
        return None
    return DecoderSetup(video.codec, video.extradata, reorder_depth)


def _starts(video: Mp4Video, units: Units) -> Numbers:
    """The packets from which decoding is exact, where stream and container agree on them, and nothing that is
    stored before one of them is displayed behind it."""
    is_start = units.exact_starts()
    starts, latest = np.flatnonzero(is_start), np.maximum.accumulate(video.pts)
    goes_on = (video.pts[starts[1:]] > latest[starts[1:] - 1]).all()
    is_plain = is_start[0] and goes_on and video.pts[0] == video.pts.min()
    if not is_plain or (is_start & ~video.is_sync).any():
        raise OddFile
    return starts


def _numbers(values: npt.NDArray[np.int64]) -> array[int]:
    return array("i", values.astype(np.int32).tobytes())


def _stamps(values: npt.NDArray[np.int64]) -> array[int]:
    return array("q", values.astype(np.int64).tobytes())
