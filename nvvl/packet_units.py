"""What all packets of a stream tell of themselves, looked up in the file at once: as `nvvl.bitstream` and
`nvvl.picture_order` do it packet by packet, for the plain kinds of NAL units of H.264 and HEVC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nvvl.bitstream import (
    H264_IDR,
    H264_SEI,
    H264_SLICE,
    HEVC_FIRST_IRAP,
    HEVC_LAST_IRAP,
    HEVC_LAST_SLICE,
    HEVC_LAST_SUBLAYER_NON_REFERENCE,
    SEI_RECOVERY_POINT,
    UNIT_HEAD,
    is_exact_start,
    sei_messages,
)
from nvvl.file_pieces import Bytes, FilePieces
from nvvl.mp4_boxes import Numbers, OddFile
from nvvl.picture_order import H264_PPS, H264_SPS, HEVC_PPS, HEVC_SPS

LENGTH_SIZE = 4
# As many first bytes of each unit are looked at, behind its length.
HEAD = 16
MAX_UNITS = 64
HEVC_VPS, HEVC_DELIMITER, HEVC_SEI, HEVC_SUFFIX_SEI = 32, 35, 39, 40
H264_DELIMITER, H264_FILLER = 9, 12
# Slices up to the random access points that are in use, without the reserved types.
HEVC_SLICES = (*range(10), *range(HEVC_FIRST_IRAP, HEVC_LAST_IRAP + 1))
NUM_KINDS = 64
KINDS = {
    "h264": (H264_SLICE, H264_IDR, H264_SEI, H264_SPS, H264_PPS, H264_DELIMITER, H264_FILLER),
    "hevc": (*HEVC_SLICES, HEVC_VPS, HEVC_SPS, HEVC_PPS, HEVC_DELIMITER, HEVC_SEI, HEVC_SUFFIX_SEI),
}
PARAMETER_SETS = {"h264": (H264_SPS, H264_PPS), "hevc": (HEVC_VPS, HEVC_SPS, HEVC_PPS)}
SUPPLEMENTS = {"h264": (H264_SEI,), "hevc": (HEVC_SEI, HEVC_SUFFIX_SEI)}
TRAILING_BITS = b"\x80"
SEI_DISPLAY_ORIENTATION = 47

Flags = npt.NDArray[np.bool_]


class Units:
    """All NAL units of some packets.

    Args:
        file: where they are.
        positions, sizes: of the packets, in bytes.

    `packets`, `begins`, `sizes` (in bytes) and `kinds` (nal_unit_type) have an entry for each unit; `heads`
    (units, 16) are the first bytes of each, zeros behind its end.

    Raises:
        OddFile: a unit is of no plain kind, or does not fill its packet together with the others.
    """

    def __init__(self, codec: str, file: FilePieces, positions: Numbers, sizes: Numbers) -> None:
        self.codec, self._file, self.num_packets = codec, file, len(positions)
        rounds = list(_rounds(file, positions, positions + sizes))
        self.packets, self.begins, self.sizes, heads = (
            np.concatenate(column) for column in zip(*rounds, strict=True)
        )
        self.heads: Bytes = heads * (np.arange(HEAD) < self.sizes[:, None])
        first = self.heads[:, 0]
        self.kinds = (first & 31 if codec == "h264" else first >> 1 & 63).astype(np.uint8)
        if not self._are(KINDS[codec]).all():
            raise OddFile

    def bytes_of(self, unit: int, limit: int | None = None) -> bytes:
        begin, size = int(self.begins[unit]), int(self.sizes[unit])
        return self._file.piece(begin, size if limit is None else min(size, limit))

    def of_kind(self, *kinds: int) -> Numbers:
        """Which units are of these kinds."""
        return np.flatnonzero(self._are(kinds))

    def _are(self, kinds: Sequence[int]) -> Flags:
        """For each unit whether it is of one of these kinds."""
        is_one = np.zeros(NUM_KINDS, np.bool_)
        is_one[list(kinds)] = True
        return is_one.take(self.kinds)

    def check_parameter_sets(self, known: Iterable[bytes]) -> None:
        """OddFile where packets bring parameter sets that are not among the stream's."""
        sets = set(known)
        if any(self.bytes_of(unit) not in sets for unit in self.of_kind(*PARAMETER_SETS[self.codec])):
            raise OddFile

    def check_orientation(self) -> None:
        """OddFile where the first packet says itself how its picture is turned."""
        units = self.of_kind(*SUPPLEMENTS[self.codec])
        check_orientation(self.codec, (self.bytes_of(unit) for unit in units[self.packets[units] == 0]))

    @property
    def slices(self) -> Numbers:
        """Which units are parts of pictures."""
        return np.flatnonzero(self.kinds <= (H264_IDR if self.codec == "h264" else HEVC_LAST_SLICE))

    def pictures(self) -> Numbers:
        """The unit with which the picture of each packet begins; OddFile where a packet has not just one."""
        slices = self.slices
        begins: Numbers = slices[self.heads[slices, 1 if self.codec == "h264" else 2] >> 7 == 1]
        begins = begins[np.argsort(self.packets[begins], kind="stable")]
        if not np.array_equal(self.packets[begins], np.arange(self.num_packets)):
            raise OddFile
        return begins

    def exact_starts(self) -> Flags:
        """For each packet whether `is_exact_start` holds of its units."""
        starts = np.zeros(self.num_packets, np.bool_)
        if self.codec == "hevc":
            starts[self.packets[(self.kinds >= HEVC_FIRST_IRAP) & (self.kinds <= HEVC_LAST_IRAP)]] = True
            return starts
        starts[self.packets[self.kinds == H264_IDR]] = True
        for unit in self._recovery_points():
            starts[self.packets[unit]] |= is_exact_start([self.bytes_of(unit, UNIT_HEAD)], self.codec)
        return starts

    def _recovery_points(self) -> Numbers:
        """The H.264 units that may hold a recovery point: not those of one short message of another kind."""
        units = self.of_kind(H264_SEI)
        kind, size = self.heads[units, 1], self.heads[units, 2].astype(np.int64)
        is_other = (kind != SEI_RECOVERY_POINT) & (kind != 255) & (size != 255)
        candidates: Numbers = units[~(is_other & (size + 4 >= self.sizes[units]))]
        return candidates

    def unreferenced(self) -> bytes:
        """For each packet 1 where `is_unreferenced` holds of its units."""
        slices = self.slices
        head = self.heads[slices]
        if self.codec == "h264":
            may_be_left_out = head[:, 0] & 0x60 == 0
        else:
            kinds, layers = self.kinds[slices], head[:, 1] & 7
            top_layer = (self.heads[:, 1] & 7).max()
            may_be_left_out = (
                (kinds <= HEVC_LAST_SUBLAYER_NON_REFERENCE) & (kinds % 2 == 0) & (layers == top_layer)
            )
        can_go = np.ones(self.num_packets, np.uint8)
        can_go[self.packets[slices[~may_be_left_out]]] = 0
        return can_go.tobytes()


def check_orientation(codec: str, supplements: Iterable[bytes]) -> None:
    """OddFile where one of these SEI units says how pictures are turned, or is not whole."""
    for unit in supplements:
        payload = unit[1 if codec == "h264" else 2 :].replace(b"\x00\x00\x03", b"\x00\x00")
        messages = list(sei_messages(payload))
        if any(kind == SEI_DISPLAY_ORIENTATION for kind, _, _ in messages):
            raise OddFile
        end = messages[-1][2] if messages else 0
        if payload[end:] != TRAILING_BITS:
            raise OddFile


def _rounds(
    file: FilePieces, begins: Numbers, ends: Numbers
) -> Iterator[tuple[Numbers, Numbers, Numbers, Bytes]]:
    """(packet, begin, size, head) of the first units of all packets, then of the second ones, and so on."""
    packets = np.arange(len(begins))
    for _ in range(MAX_UNITS):
        if (begins + LENGTH_SIZE >= ends).any():
            raise OddFile
        pieces = file.pieces(begins, LENGTH_SIZE + HEAD)
        lengths = np.ascontiguousarray(pieces[:, :LENGTH_SIZE]).view(">u4")[:, 0].astype(np.int64)
        begins = begins + LENGTH_SIZE
        if (lengths <= 1).any() or (begins + lengths > ends).any():
            raise OddFile
        yield packets, begins, lengths, pieces[:, LENGTH_SIZE:]
        begins = begins + lengths
        goes_on = begins < ends
        packets, begins, ends = packets[goes_on], begins[goes_on], ends[goes_on]
        if len(packets) == 0:
            return
    raise OddFile
