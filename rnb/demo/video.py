"""A video as requests of one sequence: its frames as pictures, and what each request says of the sequence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import cv2


def frames_of(video: bytes, every: int, most: int) -> Iterator[bytes]:
    """Every so many frames as JPEGs, at most so many of them. Raises ValueError for what is no video."""
    try:
        with av.open(io.BytesIO(video)) as container:
            shown = (frame for number, frame in enumerate(container.decode(video=0)) if not number % every)
            for _, frame in zip(range(most), shown, strict=False):
                is_written, data = cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"))
                assert is_written
                yield data.tobytes()
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ValueError(f"this is no video that can be decoded: {error}") from None


def sequence_parameters(sequence_id: int, number: int, count: int) -> dict[str, Any]:
    """Of the request with this number, of so many: the first starts the sequence, the last one ends it."""
    return {
        "sequence_id": sequence_id,
        "sequence_start": number == 0,
        "sequence_end": number == count - 1,
        "sequence_position": number,
    }
