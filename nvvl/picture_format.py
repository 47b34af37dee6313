"""Size, pixel format and colour of the pictures of a stream, from its sequence parameter set alone (ITU-T
H.264, 7.3.2.1.1 and E.1.1; H.265, 7.3.2.2 and E.2.1).

What few streams have is not read: `UnknownFormat`, and a decoder has to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from nvvl.bits import Bits
from nvvl.picture_order import H264_HIGH_PROFILES, HEVC_LEVEL_BITS, HEVC_PROFILE_BITS

H264_PROFILES = (66, 77, 88, *H264_HIGH_PROFILES)
YUV420, EXTENDED_SHAPE = 1, 255
# Parameter sets are few, files many.
NUM_REMEMBERED = 64


class UnknownFormat(Exception):
    """The parameter set has something that is not read here, or is damaged."""


@dataclass(frozen=True)
class PictureFormat:
    """`pixel_format` is FFmpeg's name; `matrix` is one of ITU-T H.273, and both colours are None where the
    stream does not say."""

    pixel_format: str
    width: int
    height: int
    matrix: int | None
    full_range: int | None


@lru_cache(NUM_REMEMBERED)
def picture_format(codec: str, unit: bytes) -> PictureFormat:
    """Reads the unit of a sequence parameter set of 'h264' or 'hevc'.

    Raises:
        UnknownFormat: pictures may be interlaced, are not 4:2:0 of 8 or 10 bits, or the unit cannot be read.
    """
    try:
        return _h264(Bits(unit[1:])) if codec == "h264" else _hevc(Bits(unit[2:]))
    except EOFError as error:
        raise UnknownFormat from error


def _h264(bits: Bits) -> PictureFormat:
    profile, _, _ = bits.take(8), bits.take(8), bits.take(8)
    bits.ue()
    _require(profile in H264_PROFILES)
    depth = _h264_chroma(bits) if profile in H264_HIGH_PROFILES else 8
    bits.ue()  # log2_max_frame_num_minus4
    order_type = bits.ue()
    _require(order_type in (0, 2))
    if order_type == 0:
        bits.ue()
    bits.ue()  # max_num_ref_frames
    bits.skip(1)
    width, height = 16 * (bits.ue() + 1), 16 * (bits.ue() + 1)
    _require(bits.take(1))  # frame_mbs_only_flag
    bits.skip(1)
    cut = _cropping(bits)
    matrix = full_range = None
    if bits.take(1):
        matrix, full_range = _h264_usability(bits)
    _require_end(bits)
    return _format(depth, width, height, cut, matrix, full_range)


def _h264_chroma(bits: Bits) -> int:
    """Bits a sample; the rest has to be plain."""
    _require(bits.ue() == YUV420)
    depth = 8 + bits.ue()
    _require(bits.ue() == depth - 8 and not bits.take(1) and not bits.take(1))
    return depth


def _h264_usability(bits: Bits) -> tuple[int | None, int | None]:
    """Matrix and range of the VUI, which is read to its end."""
    _skip_aspect(bits)
    color = _signal(bits)
    _skip_if(bits, lambda: _ues(bits, 2))  # chroma sample location
    _skip_if(bits, lambda: bits.skip(65))  # timing
    has_nal = _skip_if(bits, lambda: _skip_h264_hypothetical_decoder(bits))
    has_vcl = _skip_if(bits, lambda: _skip_h264_hypothetical_decoder(bits))
    bits.skip(1 if has_nal or has_vcl else 0)
    _require(not bits.take(1))  # pic_struct_present_flag: each picture may say that it is interlaced
    _skip_if(bits, lambda: _ues(bits, 6, behind=1))  # restrictions
    return color


def _skip_h264_hypothetical_decoder(bits: Bits) -> None:
    count = bits.ue() + 1
    _require(count <= 32)
    bits.skip(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.skip(1)
    bits.skip(20)


def _hevc(bits: Bits) -> PictureFormat:
    bits.skip(4)
    num_lower_layers = bits.take(3)
    bits.skip(1 + HEVC_PROFILE_BITS + HEVC_LEVEL_BITS)
    present = [(bits.take(1), bits.take(1)) for _ in range(num_lower_layers)]
    bits.skip(2 * (8 - num_lower_layers) if num_lower_layers else 0)
    for has_profile, has_level in present:
        bits.skip(HEVC_PROFILE_BITS * has_profile + HEVC_LEVEL_BITS * has_level)
    bits.ue()
    _require(bits.ue() == YUV420)
    width, height = bits.ue(), bits.ue()
    cut = _cropping(bits)
    depth = 8 + bits.ue()
    _require(bits.ue() == depth - 8)
    order_bits = bits.ue() + 4
    for _ in range(num_lower_layers + 1 if bits.take(1) else 1):
        _ues(bits, 3)
    _ues(bits, 6)  # sizes of blocks
    _require(not bits.take(1))  # scaling_list_enabled_flag
    bits.skip(2)
    _skip_if(bits, lambda: _skip_pcm(bits))
    _skip_reference_sets(bits)
    _skip_if(bits, lambda: bits.skip((order_bits + 1) * bits.ue()))  # long-term references
    bits.skip(2)
    matrix = full_range = None
    if bits.take(1):
        matrix, full_range = _hevc_usability(bits)
    _require(not bits.take(1))  # sps_extension_present_flag
    _require_end(bits)
    return _format(depth, width, height, cut, matrix, full_range)


def _skip_reference_sets(bits: Bits) -> None:
    """Short-term reference picture sets (H.265, 7.3.7): each may be told by the one before."""
    num_pictures = 0
    for number in range(bits.ue()):
        if number and bits.take(1):
            bits.skip(1)
            bits.ue()
            num_pictures = sum(bits.take(1) or bits.take(1) for _ in range(num_pictures + 1))
        else:
            num_pictures = bits.ue() + bits.ue()
            _require(num_pictures <= 16)
            for _ in range(num_pictures):
                bits.ue()
                bits.skip(1)


def _hevc_usability(bits: Bits) -> tuple[int | None, int | None]:
    _skip_aspect(bits)
    color = _signal(bits)
    _skip_if(bits, lambda: _ues(bits, 2))  # chroma sample location
    # Neutral chroma; fields, as which each picture may be told; another window that few obey.
    _require(bits.take(4) in (0, 8))
    if bits.take(1):
        bits.skip(64)
        _skip_if(bits, bits.ue)
        _require(not bits.take(1))  # vui_hrd_parameters_present_flag
    _skip_if(bits, lambda: _ues(bits, 5, behind=3))  # restrictions
    return color


def _skip_aspect(bits: Bits) -> None:
    """Of a pixel, and whether it is to be shown to its edges."""
    if bits.take(1) and bits.take(8) == EXTENDED_SHAPE:
        bits.skip(32)
    _skip_if(bits, lambda: bits.skip(1))


def _signal(bits: Bits) -> tuple[int | None, int | None]:
    """(matrix, full range)"""
    if not bits.take(1):
        return None, None
    bits.skip(3)
    full_range = bits.take(1)
    if not bits.take(1):
        return None, full_range
    bits.skip(16)
    return bits.take(8), full_range


def _cropping(bits: Bits) -> tuple[int, int]:
    """Columns and rows that are not shown; of 4:2:0 they are counted in pairs."""
    if not bits.take(1):
        return 0, 0
    left, right, top, bottom = (2 * bits.ue() for _ in range(4))
    _require(left == 0 == top)
    return right, bottom


def _format(
    depth: int, width: int, height: int, cut: tuple[int, int], matrix: int | None, full_range: int | None
) -> PictureFormat:
    names = {8: "yuvj420p" if full_range else "yuv420p", 10: "yuv420p10le"}
    _require(depth in names and cut[0] < width and cut[1] < height)
    return PictureFormat(names[depth], width - cut[0], height - cut[1], matrix, full_range)


def _skip_pcm(bits: Bits) -> None:
    _ues(bits, 2, behind=8)
    bits.skip(1)


def _ues(bits: Bits, count: int, behind: int = 0) -> None:
    """Read so many Exp-Golomb numbers `behind` so many bits."""
    bits.skip(behind)
    for _ in range(count):
        bits.ue()


def _skip_if(bits: Bits, skip: Callable[[], object]) -> bool:
    """Read what follows if the next bit says that it is there."""
    if not bits.take(1):
        return False
    skip()
    return True


def _require_end(bits: Bits) -> None:
    """Nothing but the stop bit is left (rbsp_trailing_bits), so what was read is what was written."""
    left = bits.num_left
    _require(0 < left <= 8 and bits.take(left) == 1 << (left - 1))


def _require(holds: object) -> None:
    if not holds:
        raise UnknownFormat
