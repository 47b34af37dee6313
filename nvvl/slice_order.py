"""`nvvl.picture_order.is_stored_as_shown` for all pictures of a stream at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from nvvl.bitstream import H264_IDR, HEVC_FIRST_IRAP, HEVC_LAST_SUBLAYER_NON_REFERENCE
from nvvl.mp4_boxes import Numbers, OddFile
from nvvl.packet_units import HEAD, Flags, Units
from nvvl.picture_order import HEVC_CRA, HEVC_IDR, HEVC_LEADING, H264Order, HevcOrder, UnknownOrder, order_msb

# What is read of a slice's header has to be in as many bytes of it.
NUM_BYTES = 8
MAX_ZEROS = 15
EMULATION, EMULATED = b"\x00\x00\x03", b"\x00\x00"


def is_stored_as_shown(units: Units, parameter_sets: Sequence[bytes]) -> bool:
    """Whether each packet's picture is displayed behind those of all packets before it; False where it cannot
    be told.

    Raises:
        OddFile: parameter sets differ, or a slice's header is a long one.
    """
    order = H264Order() if units.codec == "h264" else HevcOrder()
    try:
        order.learn(parameter_sets)
    except (UnknownOrder, EOFError):
        return False
    places = _h264_places(units, order) if isinstance(order, H264Order) else _hevc_places(units, order)
    last = (0, -(1 << 40))
    for place in places:
        if place <= last:
            return False
        last = place
    return True


def _h264_places(units: Units, order: H264Order) -> Iterable[tuple[int, int]]:
    """(coded video sequence, order in it) of each packet's picture."""
    [sps] = order.sps.values()
    pictures = units.pictures()
    is_idr, is_reference = units.kinds[pictures] == H264_IDR, units.heads[pictures, 0] & 0x60 != 0
    fields = _Fields(units, pictures, header=1)
    fields.ue()  # first_mb_in_slice
    fields.ue()  # slice_type
    fields.check_among(fields.ue(), order.sps_of_pps)
    if sps.lsb_bits == 0:
        return ((1, number) for number in range(len(pictures)))
    fields.skip(sps.frame_num_bits)
    fields.ue(is_idr)  # idr_pic_id
    lsbs = fields.take(sps.lsb_bits)
    return _places(lsbs, is_idr, np.zeros_like(lsbs), is_reference, 1 << sps.lsb_bits)


def _hevc_places(units: Units, order: HevcOrder) -> Iterable[tuple[int, int]]:
    """As `_h264_places`."""
    [sps] = order.sps.values()
    pictures = units.pictures()
    kinds, layers = units.kinds[pictures], units.heads[pictures, 1] & 7
    fields = _Fields(units, pictures, header=2)
    fields.skip(1)  # first_slice_segment_in_pic_flag
    fields.skip(kinds >= HEVC_FIRST_IRAP)  # no_output_of_prior_pics_flag
    fields.check_among(fields.ue(), order.pps)
    if any(pps.has_output_flag or pps.extra_bits for pps in order.pps.values()):
        raise OddFile
    fields.ue()  # slice_type
    is_idr, is_cra = np.isin(kinds, HEVC_IDR), kinds == HEVC_CRA
    lsbs = np.where(is_idr, 0, fields.take(np.where(is_idr, 0, sps.lsb_bits)))
    is_new = (kinds >= HEVC_FIRST_IRAP) & (~is_cra | (np.arange(len(kinds)) == 0))
    is_sub_layer_non_reference = (kinds <= HEVC_LAST_SUBLAYER_NON_REFERENCE) & (kinds % 2 == 0)
    counts = (layers == 1) & ~np.isin(kinds, HEVC_LEADING) & ~is_sub_layer_non_reference
    return _places(lsbs, is_new, lsbs, counts, 1 << sps.lsb_bits)


def _places(
    lsbs: Numbers, begins: Flags, bases: Numbers, counts: Flags, modulus: int
) -> Iterable[tuple[int, int]]:
    """The high part of each order count follows from the last picture that `counts`, or where a sequence
    `begins` from a base."""
    period = last_msb = last_lsb = 0
    columns = (lsbs.tolist(), begins.tolist(), bases.tolist(), counts.tolist())
    for lsb, is_new, base, is_last in zip(*columns, strict=True):
        if is_new:
            period, last_msb, last_lsb = period + 1, 0, base
        msb = order_msb(lsb, last_lsb, last_msb, modulus)
        if is_last:
            last_msb, last_lsb = msb, lsb
        yield period, msb + lsb


class _Fields:
    """Reads the headers of some units side by side, bit by bit, behind `header` bytes.

    Raises:
        OddFile: one is longer than is looked at, or than its unit.
    """

    def __init__(self, units: Units, chosen: Numbers, header: int) -> None:
        heads = units.heads[chosen]
        for row in np.flatnonzero(_is_emulated(heads)):
            cleaned = heads[row].tobytes().replace(EMULATION, EMULATED)
            heads[row] = np.frombuffer(cleaned.ljust(HEAD, b"\0"), np.uint8)
        head = np.ascontiguousarray(heads[:, header : header + NUM_BYTES])
        self._value = head.view(">u8")[:, 0].astype(np.uint64)
        self._limit = 8 * np.minimum(units.sizes[chosen] - header, NUM_BYTES)
        self._place = np.zeros(len(chosen), np.int64)

    def skip(self, counts: int | Numbers | Flags) -> None:
        self._place = self._place + counts
        if (self._place > self._limit).any():
            raise OddFile

    def take(self, counts: int | Numbers) -> Numbers:
        """Numbers of 1 to 32 bits; of 0 bits, anything."""
        rest = self._rest()
        self.skip(counts)
        return (rest >> (64 - np.maximum(counts, 1)).astype(np.uint64)).astype(np.int64)

    def ue(self, where: Flags | bool = True) -> Numbers:
        """Exp-Golomb numbers below 65535 (H.264, 9.1), 0 and nothing read where there are none."""
        high = self._rest() >> np.uint64(32)
        num_zeros = 32 - np.frexp(high.astype(np.float64))[1].astype(np.int64)
        if (np.where(where, num_zeros, 0) > MAX_ZEROS).any():
            raise OddFile
        num_bits = np.where(where, 2 * np.minimum(num_zeros, MAX_ZEROS) + 1, 0)
        return np.where(where, self.take(num_bits) - 1, 0)

    def check_among(self, numbers: Numbers, known: Iterable[int]) -> None:
        if not np.isin(numbers, list(known)).all():
            raise OddFile

    def _rest(self) -> npt.NDArray[np.uint64]:
        return self._value << np.minimum(self._place, 63).astype(np.uint64)


def _is_emulated(heads: npt.NDArray[np.uint8]) -> Flags:
    """Which rows have bytes that only keep start codes from occurring (H.264, 7.4.1)."""
    is_zero = heads == 0
    is_emulated: Flags = (is_zero[:, :-2] & is_zero[:, 1:-1] & (heads[:, 2:] == 3)).any(axis=1)
    return is_emulated
