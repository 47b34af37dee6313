"""MP4 and MOV files by many ways of writing them, and what chance makes of their tables."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.support import numbered_videos as nv
from tests.support.numbered_videos import Coded

Stamps = Callable[[int], int]
# What 32-bit fields are set to: limits, and values next to those that files have.
FIELDS = (0, 1, 2, 3, 255, 256, 512, 1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 0x10000)
KINDS = (
    b"free",
    b"skip",
    b"moov",
    b"trak",
    b"stts",
    b"ctts",
    b"stss",
    b"stsz",
    b"covr",
    b"edts",
    b"elst",
    b"meta",
)
BOXES = (
    b"mvhd", b"tkhd", b"elst", b"mdhd", b"hdlr", b"dref", b"stsd", b"avcC", b"hvcC", b"stts", b"ctts",
    b"stss", b"stsc", b"stsz", b"stco", b"co64", b"udta", b"meta", b"ilst", b"trak", b"colr", b"edts",
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """How a file is written; `sound` adds a track of it."""

    coded: Coded
    suffix: str = ".mp4"
    num_frames: int = 30
    stamps: Stamps = int
    options: dict[str, str] = field(default_factory=dict)
    sound: bool = False
    title: str = ""


def write(path: Path, written: Written) -> Path:
    """Encode a file of pictures that say their number."""
    with av.open(str(path), "w", options=written.options) as container:
        if written.title:
            container.metadata["title"] = written.title
        stream = container.add_stream(written.coded.encoder, rate=30, options=written.coded.options)
        stream.width, stream.height, stream.pix_fmt = nv.WIDTH, nv.HEIGHT, written.coded.pixel_format
        sound = container.add_stream("aac", rate=48000, layout="mono") if written.sound else None
        for number in range(written.num_frames):
            frame = av.VideoFrame.from_ndarray(nv.picture(number), format="rgb24")
            frame = frame.reformat(format=written.coded.pixel_format)
            frame.pts, frame.time_base = written.stamps(number), Fraction(1, 30)
            container.mux(stream.encode(frame))
            if sound is not None:
                container.mux(sound.encode(_tone(number)))
        container.mux(stream.encode())
        if sound is not None:
            container.mux(sound.encode())
    return path


def _tone(number: int) -> Any:
    samples = np.full((1, 1600), (number % 7) / 10, np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 1600 * number, Fraction(1, 48000)
    return frame


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The file with a few changes to its box 'moov'."""
    changed = bytearray(content)
    begin = content.index(b"moov")
    end = begin - 4 + struct.unpack_from(">I", content, begin - 4)[0]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(CHANGES)(changed, begin, min(end, len(changed)), rng)
    return bytes(changed)


def _flip_a_bit(content: bytearray, begin: int, end: int, rng: random.Random) -> None:
    content[rng.randrange(begin, end)] ^= 1 << rng.randrange(8)


def _set_a_byte(content: bytearray, begin: int, end: int, rng: random.Random) -> None:
    content[rng.randrange(begin, end)] = rng.choice((0, 1, 2, 127, 128, 255, rng.randrange(256)))


def _set_a_field(content: bytearray, begin: int, end: int, rng: random.Random) -> None:
    struct.pack_into(">I", content, rng.randrange(begin, end - 4), rng.choice(FIELDS))


def _change_a_field(content: bytearray, begin: int, end: int, rng: random.Random) -> None:
    """Add a little to what stands in a box's first entries."""
    place = _a_box(content, begin, end, rng) + 4 + 4 * rng.randrange(12)
    if place + 4 <= end:
        (value,) = struct.unpack_from(">I", content, place)
        struct.pack_into(">I", content, place, (value + rng.choice((-512, -2, -1, 1, 2, 512))) % (1 << 32))


def _rename_a_box(content: bytearray, begin: int, end: int, rng: random.Random) -> None:
    place = _a_box(content, begin, end, rng)
    content[place : place + 4] = rng.choice(KINDS)


def _swap_entries(content: bytearray, begin: int, end: int, rng: random.Random) -> None:
    first, second = (rng.randrange(begin, end - 4) for _ in range(2))
    if abs(first - second) >= 4:
        content[first : first + 4], content[second : second + 4] = (
            content[second : second + 4],
            content[first : first + 4],
        )


def _a_box(content: bytearray, begin: int, end: int, rng: random.Random) -> int:
    """Where the kind of some box stands."""
    places = [place for kind in BOXES for place in _all(content, kind, begin, end)]
    return rng.choice(places)


def _all(content: bytearray, kind: bytes, begin: int, end: int) -> list[int]:
    places, place = [], content.find(kind, begin, end)
    while place >= 0:
        places.append(place)
        place = content.find(kind, place + 1, end)
    return places


CHANGES = (_flip_a_bit, _set_a_byte, _set_a_field, _change_a_field, _rename_a_box, _swap_entries)
