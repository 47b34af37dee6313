"""Whether pictures are shown in the order in which they are stored, from the bitstream alone.

Containers without presentation times of their own (AVI, ASF) leave FFmpeg to make them up in the order of
storage, and copies into other containers keep what it made up. Pictures number themselves, though: H.264 and
HEVC say in each slice which place it has in the order of display (picture order count; ITU-T H.264, 8.2.1;
H.265, 8.3.1). Only as much is parsed here as that takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nvvl.bits import Bits
from nvvl.bitstream import (
    H264_IDR,
    H264_SLICE,
    HEVC_FIRST_IRAP,
    HEVC_LAST_SLICE,
    HEVC_LAST_SUBLAYER_NON_REFERENCE,
    h264_type,
    hevc_layer,
    hevc_type,
)

H264_SPS, H264_PPS = 7, 8
HEVC_SPS, HEVC_PPS = 33, 34
HEVC_LEADING = (6, 7, 8, 9)
# With the reserved ones, whose slices have the fields of random access points, too.
HEVC_LAST_RESERVED_IRAP = 23
HEVC_IDR, HEVC_CRA = (19, 20), 21
# Profiles whose parameter sets say more of the chroma format (H.264, 7.3.2.1.1).
H264_HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
HEVC_PROFILE_BITS, HEVC_LEVEL_BITS = 88, 8

Units = Sequence[bytes]


class UnknownOrder(Exception):
    """The stream numbers its pictures in a way that is not read here, or not as the standard says."""


def is_stored_as_shown(codec: str, parameter_sets: Units, packets: Iterable[Units]) -> bool:
    """Whether each packet's picture is displayed behind those of all packets before it.

    Args:
        codec: 'h264' or 'hevc'.
        parameter_sets: the units of the stream's extradata.
        packets: the NAL units of each packet in decoding order; slices may be cut off behind their first
            bytes.

    False where it cannot be told.
    """
    order: H264Order | HevcOrder = H264Order() if codec == "h264" else HevcOrder()
    last = None
    try:
        order.learn(parameter_sets)
        for units in packets:
            order.learn(units)
            place = order.place(units)
            if place is None or (last is not None and place <= last):
                return False
            last = place
    except (UnknownOrder, KeyError, EOFError):
        return False
    return True


class H264Order:
    """What the parameter sets say that came so far, and the order of pictures by it."""

    def __init__(self) -> None:
        self.sps: dict[int, H264Sps] = {}
        self.sps_of_pps: dict[int, int] = {}
        self._period = self._msb = self._lsb = 0

    def learn(self, units: Units) -> None:
        for unit in units:
            kind = h264_type(unit)
            if kind == H264_SPS:
                number, sps = _h264_sps(Bits(unit[1:]))
                self.sps[number] = sps
            elif kind == H264_PPS:
                bits = Bits(unit[1:])
                self.sps_of_pps[bits.ue()] = bits.ue()

    def place(self, units: Units) -> tuple[int, int] | None:
        """(coded video sequence, order in it) of a packet's picture."""
        for unit in units:
            if h264_type(unit) in (H264_SLICE, H264_IDR):
                return self._place_of(unit)
        return None

    def _place_of(self, unit: bytes) -> tuple[int, int]:
        bits = Bits(unit[1:])
        is_idr, is_reference = h264_type(unit) == H264_IDR, bool(unit[0] & 0x60)
        bits.ue()  # first_mb_in_slice
        bits.ue()  # slice_type
        sps = self.sps[self.sps_of_pps[bits.ue()]]
        if is_idr:
            self._period, self._msb, self._lsb = self._period + 1, 0, 0
        if sps.lsb_bits == 0:  # Without reordering; what counts is that it comes later.
            self._lsb += 1
            return self._period, self._lsb
        bits.skip(2 * sps.separate_planes + sps.frame_num_bits)
        if not sps.frames_only and bits.take(1):
            raise UnknownOrder
        if is_idr:
            bits.ue()  # idr_pic_id
        lsb = bits.take(sps.lsb_bits)
        msb = order_msb(lsb, self._lsb, self._msb, 1 << sps.lsb_bits)
        if is_reference:
            self._msb, self._lsb = msb, lsb
        return self._period, msb + lsb


class HevcOrder:
    """As `H264Order`."""

    def __init__(self) -> None:
        self.sps: dict[int, HevcSps] = {}
        self.pps: dict[int, HevcPps] = {}
        self._period = self._msb = self._lsb = 0

    def learn(self, units: Units) -> None:
        for unit in units:
            kind = hevc_type(unit)
            if kind == HEVC_SPS:
                number, sps = _hevc_sps(Bits(unit[2:]))
                self.sps[number] = sps
            elif kind == HEVC_PPS:
                bits = Bits(unit[2:])
                number, sps_number = bits.ue(), bits.ue()
                self.pps[number] = HevcPps(sps_number, bits.take(2) & 1, bits.take(3))

    def place(self, units: Units) -> tuple[int, int] | None:
        """(coded video sequence, order in it) of a packet's picture."""
        for unit in units:
            if hevc_type(unit) <= HEVC_LAST_SLICE:
                return self._place_of(unit)
        return None

    def _place_of(self, unit: bytes) -> tuple[int, int] | None:
        bits, kind, layer = Bits(unit[2:]), hevc_type(unit), hevc_layer(unit)
        is_first_slice, is_irap = bits.take(1), HEVC_FIRST_IRAP <= kind <= HEVC_LAST_RESERVED_IRAP
        if not is_first_slice:
            raise UnknownOrder
        bits.skip(is_irap)  # no_output_of_prior_pics_flag
        pps = self.pps[bits.ue()]
        sps = self.sps[pps.sps]
        bits.skip(pps.extra_bits)
        bits.ue()  # slice_type
        if pps.has_output_flag and not bits.take(1):
            return None  # decoded, but never shown
        bits.skip(2 * sps.separate_planes)
        starts_anew = is_irap and (kind != HEVC_CRA or self._period == 0)
        lsb = 0 if kind in HEVC_IDR else bits.take(sps.lsb_bits)
        if starts_anew:
            self._period, msb = self._period + 1, 0
        else:
            msb = order_msb(lsb, self._lsb, self._msb, 1 << sps.lsb_bits)
        if (
            layer == 0
            and kind not in HEVC_LEADING
            and not (kind <= HEVC_LAST_SUBLAYER_NON_REFERENCE and kind % 2 == 0)
        ):
            self._msb, self._lsb = msb, lsb
        return self._period, msb + lsb


def order_msb(lsb: int, last_lsb: int, last_msb: int, modulus: int) -> int:
    """The high part of an order count, whose low part counts round and round."""
    if lsb < last_lsb and last_lsb - lsb >= modulus // 2:
        return last_msb + modulus
    if lsb > last_lsb and lsb - last_lsb > modulus // 2:
        return last_msb - modulus
    return last_msb


@dataclass(frozen=True)
class H264Sps:
    """`lsb_bits` is 0 where pictures are always shown as they are stored."""

    frame_num_bits: int
    lsb_bits: int
    frames_only: int
    separate_planes: int


def _h264_sps(bits: Bits) -> tuple[int, H264Sps]:
    profile = bits.take(8)
    bits.skip(16)
    number, separate_planes = bits.ue(), 0
    if profile in H264_HIGH_PROFILES:
        chroma = bits.ue()
        separate_planes = bits.take(1) if chroma == 3 else 0
        bits.ue()
        bits.ue()
        bits.skip(1)
        if bits.take(1):
            for place in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if place < 6 else 64)
    frame_num_bits = bits.ue() + 4
    order_type = bits.ue()
    if order_type not in (0, 2):
        raise UnknownOrder
    lsb_bits = bits.ue() + 4 if order_type == 0 else 0
    bits.ue()
    bits.skip(1)
    bits.ue()
    bits.ue()
    return number, H264Sps(frame_num_bits, lsb_bits, bits.take(1), separate_planes)


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


@dataclass(frozen=True)
class HevcSps:
    lsb_bits: int
    separate_planes: int


@dataclass(frozen=True)
class HevcPps:
    sps: int
    has_output_flag: int
    extra_bits: int


def _hevc_sps(bits: Bits) -> tuple[int, HevcSps]:
    bits.skip(4)
    num_lower_layers = bits.take(3)
    bits.skip(1 + HEVC_PROFILE_BITS + HEVC_LEVEL_BITS)
    present = [(bits.take(1), bits.take(1)) for _ in range(num_lower_layers)]
    if num_lower_layers:
        bits.skip(2 * (8 - num_lower_layers))
    for has_profile, has_level in present:
        bits.skip(HEVC_PROFILE_BITS * has_profile + HEVC_LEVEL_BITS * has_level)
    number = bits.ue()
    separate_planes = bits.take(1) if bits.ue() == 3 else 0
    bits.ue()
    bits.ue()
    if bits.take(1):
        for _ in range(4):
            bits.ue()
    bits.ue()
    bits.ue()
    return number, HevcSps(bits.ue() + 4, separate_planes)
