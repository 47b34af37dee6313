"""What a decoded picture says about itself: colour matrix, range, and which way up it is shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

# Kr and Kb of each matrix_coefficients value (ITU-T H.273, table 4), which FFmpeg's AVCOL_SPC_* are too.
LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
UNDECLARED = (2, 3)
BT709, BT601 = 1, 6
FULL_RANGE = 2
HD_HEIGHT = 720


@dataclass(frozen=True)
class Color:
    """How luma and chroma codes become RGB: the two luma weights, and whether codes use the full range."""

    kr: float
    kb: float
    full_range: bool

    @classmethod
    def of(cls, frame: Any) -> Color | None:
        """The colour that a PyAV frame declares, or None where its matrix is not one of `LUMA_WEIGHTS`.

        An undeclared matrix is BT.709 from 720 lines on and BT.601 below, as players and browsers guess,
        because HD and SD video are made so; an undeclared range is the limited one, except in FFmpeg's yuvj
        formats, which exist to say that it is full.
        """
        full_range = int(frame.color_range) == FULL_RANGE or frame.format.name.startswith("yuvj")
        return cls.declared(int(frame.colorspace), frame.height, full_range=full_range)

    @classmethod
    def declared(cls, matrix: int, height: int, *, full_range: bool) -> Color | None:
        """As `of`, for pictures of `height` rows, from the number of the matrix."""
        if matrix in UNDECLARED:
            matrix = BT709 if height >= HD_HEIGHT else BT601
        if matrix not in LUMA_WEIGHTS:
            return None
        return cls(*LUMA_WEIGHTS[matrix], full_range=full_range)


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is turned for display.

    A displayed pixel (x, y) is the stored pixel (x, y), or (y, x) where `transposed`, whose first coordinate
    then counts from the right where `flip_x`, and whose second counts from the bottom where `flip_y`.
    """

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: Any) -> Orientation | None:
        """The orientation that a PyAV frame declares, or None where it is no multiple of 90 degrees."""
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return UPRIGHT if matrix is None else cls.from_matrix(struct.unpack("=9i", bytes(matrix)))

    @classmethod
    def from_matrix(cls, matrix: tuple[int, ...]) -> Orientation | None:
        """Reads FFmpeg's display matrix (libavutil/display.h): 3x3 in rows, the first four entries 16.16.

        It takes the stored (p, q) to the displayed (x, y) = (a p + c q, b p + d q), up to a shift.
        """
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        if b == 0 == c and a != 0 != d:
            return cls(False, a < 0, d < 0)
        if a == 0 == d and b != 0 != c:
            return cls(True, b < 0, c < 0)
        return None


UPRIGHT = Orientation()
