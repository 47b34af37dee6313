"""What a compressed packet tells without decoding it: NAL units of H.264 (ITU-T H.264) and HEVC (ITU-T
H.265).

Containers store NAL units either each behind its length (MP4, Matroska) or behind start codes ("Annex B", as
in MPEG-TS). The codec's extradata says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

START_CODE = b"\x00\x00\x00\x01"

H264_SLICE, H264_IDR, H264_SEI = 1, 5, 6
H264_DATA_PARTITIONS = (2, 3, 4)
SEI_RECOVERY_POINT = 6
HEVC_FIRST_IRAP, HEVC_LAST_IRAP = 16, 21
HEVC_LAST_SUBLAYER_NON_REFERENCE = 14
HEVC_LAST_SLICE = 31
H264_PARAMETER_SETS, HEVC_PARAMETER_SETS = (7, 8), (32, 33, 34)
H264_PICTURE_HEADS = (1, 2, 5)
# Enough of a NAL unit for its header and for a recovery point message that comes first.
UNIT_HEAD = 64
VP9_SUPERFRAME = 0xC0


@dataclass(frozen=True)
class NalFormat:
    """How the packets of one stream hold their NAL units.

    `length_size` is the number of bytes before each unit that hold its length, 0 for start codes;
    `parameter_sets` are the stream's SPS, PPS and VPS in Annex B, empty where they are in the packets.
    """

    codec: str
    length_size: int
    parameter_sets: bytes

    @classmethod
    def of(cls, codec: str, extradata: bytes) -> NalFormat:
        """Reads avcC (ISO/IEC 14496-15, 5.3.3.1) and hvcC (8.3.3.1); anything else is Annex B."""
        if len(extradata) > 6 and extradata[0] == 1 and codec == "h264":
            return cls(codec, (extradata[4] & 3) + 1, _avcc_parameter_sets(extradata))
        if len(extradata) > 22 and extradata[0] == 1 and codec == "hevc":
            return cls(codec, (extradata[21] & 3) + 1, _hvcc_parameter_sets(extradata))
        return cls(codec, 0, extradata)

    def units(self, data: bytes) -> Iterator[bytes]:
        """The NAL units of a packet, without lengths or start codes."""
        return _prefixed_units(data, self.length_size) if self.length_size else _annexb_units(data)

    @property
    def parameter_units(self) -> list[bytes]:
        """The NAL units of `parameter_sets`."""
        return list(_annexb_units(self.parameter_sets))

    def annexb(self, data: bytes) -> bytes:
        """The packet with start codes, as hardware decoders take it."""
        if not self.length_size:
            return data
        return b"".join(START_CODE + unit for unit in self.units(data))


def is_exact_start(units: list[bytes], codec: str) -> bool:
    """Whether decoding may start at this keyframe and every frame displayed from it on is exact.

    True for IDR pictures, for other H.264 pictures whose recovery point says that nothing needs to recover
    (an open group of pictures; with intra refresh it does), and for HEVC's random access points.
    """
    if codec == "hevc":
        return any(HEVC_FIRST_IRAP <= hevc_type(unit) <= HEVC_LAST_IRAP for unit in units)
    return any(h264_type(unit) == H264_IDR or _recovers_at_once(unit) for unit in units)


def heads_of(units: Iterable[bytes], codec: str) -> list[bytes]:
    """The units, cut off where nothing is read any more; parameter sets are whole."""
    kept = H264_PARAMETER_SETS if codec == "h264" else HEVC_PARAMETER_SETS
    kind_of = h264_type if codec == "h264" else hevc_type
    return [unit if kind_of(unit) in kept else unit[:UNIT_HEAD] for unit in units]


def num_pictures(units: Iterable[bytes], codec: str) -> int:
    """How many pictures or fields begin in a packet: slices that begin with the first block of theirs."""
    if codec == "hevc":
        slices = (unit for unit in units if hevc_type(unit) <= HEVC_LAST_SLICE)
        return sum(len(unit) > 2 and unit[2] >> 7 for unit in slices)
    slices = (unit for unit in units if h264_type(unit) in H264_PICTURE_HEADS)
    return sum(len(unit) > 1 and unit[1] >> 7 for unit in slices)


def is_hidden_vp9(data: bytes) -> bool:
    """Whether a VP9 packet is one frame that is not to be shown (VP9 bitstream specification, 6.2)."""
    if not data or data[-1] & 0xE0 == VP9_SUPERFRAME:
        return False  # Whoever puts several frames together makes one of them visible.
    bits = f"{data[0]:08b}"
    place = 5 if bits[2:4] == "11" else 4  # Profile 3 has a reserved bit.
    shows_existing, shows = bits[place] == "1", bits[place + 2] == "1"
    return not shows_existing and not shows


def is_unreferenced(units: list[bytes], codec: str, top_layer: int = 0) -> bool:
    """Whether no other picture refers to this one, so that it can be left out unless it is wanted itself.

    `top_layer` is the highest temporal sub-layer of an HEVC stream: below it, a 'sub-layer non-reference'
    picture may still be referred to from above (H.265, table 7-1).
    """
    if codec == "hevc":
        slices = [unit for unit in units if hevc_type(unit) <= HEVC_LAST_SLICE]
        return bool(slices) and all(_is_hevc_unreferenced(unit, top_layer) for unit in slices)
    if any(h264_type(unit) in H264_DATA_PARTITIONS for unit in units):
        return False
    slices = [unit for unit in units if h264_type(unit) in (H264_SLICE, H264_IDR)]
    return bool(slices) and all(unit[0] & 0x60 == 0 for unit in slices)


def temporal_layer(units: list[bytes]) -> int:
    """The highest HEVC TemporalId in a packet."""
    return max(map(hevc_layer, units)) if units else 0


def h264_type(unit: bytes) -> int:
    """nal_unit_type (H.264, table 7-1)."""
    return unit[0] & 31


def hevc_type(unit: bytes) -> int:
    """nal_unit_type (H.265, table 7-1)."""
    return unit[0] >> 1 & 63


def hevc_layer(unit: bytes) -> int:
    """TemporalId (H.265, 7.4.2.2); 0 of a unit that is cut short."""
    return (unit[1] & 7) - 1 if len(unit) > 1 else 0


def _is_hevc_unreferenced(unit: bytes, top_layer: int) -> bool:
    kind = hevc_type(unit)
    return kind <= HEVC_LAST_SUBLAYER_NON_REFERENCE and kind % 2 == 0 and hevc_layer(unit) == top_layer


def sei_messages(payload: bytes) -> Iterator[tuple[int, int, int]]:
    """The kind of each message of an SEI unit without its header (H.264 and H.265, 7.3.2.3.1), and where the
    message begins and ends."""
    position = 0
    while position + 2 < len(payload):
        kind, position = _sei_number(payload, position)
        size, position = _sei_number(payload, position)
        yield kind, position, position + size
        position += size


def _recovers_at_once(unit: bytes) -> bool:
    """Whether an SEI unit holds a recovery point with recovery_frame_cnt 0 (H.264, D.1.8): one set bit."""
    if h264_type(unit) != H264_SEI:
        return False
    payload = unit[1:]
    for kind, position, _ in sei_messages(payload):
        if kind == SEI_RECOVERY_POINT:
            return position < len(payload) and payload[position] & 0x80 != 0
    return False


def _sei_number(payload: bytes, position: int) -> tuple[int, int]:
    value = 0
    while position < len(payload) and payload[position] == 0xFF:
        value, position = value + 255, position + 1
    return value + (payload[position] if position < len(payload) else 0), position + 1


def _prefixed_units(data: bytes, length_size: int) -> Iterator[bytes]:
    position = 0
    while position + length_size < len(data):
        size = int.from_bytes(data[position : position + length_size], "big")
        position += length_size
        if size > 1:
            yield data[position : position + size]
        position += size


def _annexb_units(data: bytes) -> Iterator[bytes]:
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        end = data.find(b"\x00\x00\x01", start + 3)
        unit = (data[start + 3 :] if end < 0 else data[start + 3 : end]).rstrip(b"\x00")
        if len(unit) > 1:
            yield unit
        start = end


def _avcc_parameter_sets(extradata: bytes) -> bytes:
    sets, position = [], 5
    for mask in (0x1F, 0xFF):
        if position >= len(extradata):
            break
        count, position = extradata[position] & mask, position + 1
        for _ in range(count):
            unit, position = _sized_unit(extradata, position)
            sets.append(unit)
    return b"".join(START_CODE + unit for unit in sets)


def _hvcc_parameter_sets(extradata: bytes) -> bytes:
    sets, position = [], 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            unit, position = _sized_unit(extradata, position)
            sets.append(unit)
    return b"".join(START_CODE + unit for unit in sets)


def _sized_unit(extradata: bytes, position: int) -> tuple[bytes, int]:
    size = int.from_bytes(extradata[position : position + 2], "big")
    return extradata[position + 2 : position + 2 + size], position + 2 + size
