"""Over 200 video files by name: every codec in every container, spliced, cut, copied and damaged."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av

from tests.support import numbered_videos as nv
from tests.support.numbered_videos import H264, HEVC, MPEG2, MPEG4, NUM_FRAMES, VP9, Coded, Packets

Maker = Callable[[Path], Path]
"""Makes the file in a folder; its name there is its own."""

HALF = NUM_FRAMES // 2
FAR = 100_000
MPEG4_VOP, MPEG4_B = b"\x00\x00\x01\xb6", 2
PACKED_BY, NOTHING_CODED = b"\x00\x00\x01\xb2DivX503b1393p", MPEG4_VOP + b"\x50\x7f"
TS_PACKET = 188


def intact() -> dict[str, Maker]:
    """Files that every player shows whole."""
    return {**_matrix(), **_timed(), **_spliced(), **_copied(), "packed_b_frames.avi": _packed}


def damaged() -> dict[str, tuple[Maker, Maker]]:
    """Files of which something is lost or changed, each with the intact one that it was."""
    return dict(_damaged())


def _matrix() -> dict[str, Maker]:
    return {
        f"{codec}_{kind}{suffix}": partial(_encoded, f"{codec}_{kind}{suffix}", coded)
        for codec, kinds, suffixes in nv.MATRIX
        for kind, coded in kinds.items()
        for suffix in suffixes
    }


def _encoded(name: str, coded: Coded, folder: Path, pts: Callable[[int], int] = int, **options: str) -> Path:
    path = folder / name
    return path if path.exists() else nv.encode(path, coded, pts=pts, container_options=options)


def _timed() -> dict[str, Maker]:
    """Clocks that jump, go unevenly or start late, and MP4's ways to store them."""
    streams = {"h264": H264["b3"], "hevc": HEVC["b3"], "hevc_open": HEVC["open"], "vp9": VP9["plain"]}
    clocks: dict[str, Callable[[int], int]] = {
        "jump": lambda number: number + FAR * (number >= HALF),
        "uneven": lambda number: 3 * number + (number * number) % 3,
        "late": lambda number: number + 500,
    }
    makers: dict[str, Maker] = {}
    for stream, coded in streams.items():
        for suffix in (".mp4", ".mkv", ".ts"):
            if (stream, suffix) == ("vp9", ".ts"):
                continue
            for clock, pts in clocks.items():
                name = f"{stream}_{clock}{suffix}"
                makers[name] = partial(_encoded, name, coded, pts=pts)
        for flags in ("frag_keyframe+empty_moov", "negative_cts_offsets", "faststart"):
            name = f"{stream}_{flags}.mp4"
            makers[name] = partial(_encoded, name, coded, movflags=flags)
    return makers


def _spliced() -> dict[str, Maker]:
    """Two transport streams, one behind the other: the second one's clock is another."""
    streams = {
        "h264": H264["b3"],
        "h264_b0": H264["b0"],
        "hevc": HEVC["b3"],
        "hevc_open": HEVC["open"],
        "mpeg2": MPEG2["b2"],
    }
    clocks: dict[str, tuple[int, int]] = {
        "again": (0, 0),
        "back": (3000, 0),
        "on": (0, 3000),
        "overlap": (0, 12),
    }
    return {
        f"spliced_{stream}_{clock}.ts": partial(_splice, f"spliced_{stream}_{clock}.ts", coded, first, second)
        for stream, coded in streams.items()
        for clock, (first, second) in clocks.items()
    }


def _splice(name: str, coded: Coded, first: int, second: int, folder: Path) -> Path:
    parts = [folder / f"part_{name}", folder / f"rest_{name}"]
    nv.encode(parts[0], coded, range(HALF), pts=lambda number: number + first)
    nv.encode(parts[1], coded, range(HALF, NUM_FRAMES), pts=lambda number: number + second)
    return nv.splice(folder / name, parts)


def _copied() -> dict[str, Maker]:
    """Packets taken out of one container into another: with the stamps of AVI, or from the middle on."""
    streams = {
        "h264": H264["b3"],
        "h264_open": H264["open"],
        "hevc": HEVC["b3"],
        "hevc_open": HEVC["open"],
        "mpeg2": MPEG2["b2"],
    }
    changes: dict[str, Callable[[Packets], Packets]] = {
        "made_up": nv.made_up_stamps,
        "headless": lambda packets: packets[3:],
        "middle": lambda packets: packets[13:],
    }
    return {
        f"{change}_{stream}{suffix}": partial(_copy, f"{change}_{stream}{suffix}", coded, function)
        for stream, coded in streams.items()
        for suffix in (".mp4", ".mkv", ".ts")
        for change, function in changes.items()
        if (stream, suffix, change == "made_up") != ("h264_open", ".ts", False)  # FFmpeg shows nothing of it.
    }


def _copy(name: str, coded: Coded, change: Callable[[Packets], Packets], folder: Path) -> Path:
    source = _encoded(f"source_{coded.encoder}_{zlib.crc32(repr(coded).encode())}.mkv", coded, folder)
    return nv.remux(source, folder / name, change)


def _packed(folder: Path) -> Path:
    """B-frames in the packets of the frames that they refer to, and empty packets in their place: DivX."""
    source = _encoded("mpeg4_b1.avi", MPEG4["b1"], folder)
    return nv.remux(source, folder / "packed_b_frames.avi", _pack)


def _pack(packets: Packets) -> Packets:
    contents: list[bytes] = []
    for packet in packets:
        data = bytes(packet)
        if _picture_type(data) == MPEG4_B:
            contents[-1:] = [contents[-1] + data, NOTHING_CODED]
        else:
            contents.append(data)
    contents[0] = PACKED_BY + contents[0]
    for packet, content in zip(packets, contents, strict=True):
        packet.is_keyframe = _picture_type(content) == 0
    return [_with_content(packet, content) for packet, content in zip(packets, contents, strict=True)]


def _picture_type(data: bytes) -> int:
    return data[data.index(MPEG4_VOP) + len(MPEG4_VOP)] >> 6


def _with_content(packet: av.Packet, content: bytes) -> av.Packet:
    other = av.Packet(content)
    other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
    other.is_keyframe = packet.is_keyframe
    return other


DAMAGED_STREAMS = {
    "h264_b3": (H264["b3"], (".mp4", ".mkv", ".avi", ".ts")),
    "h264_slices": (H264["slices"], (".mp4",)),
    "hevc_b3": (HEVC["b3"], (".mp4", ".ts")),
    "mpeg4_b2": (MPEG4["b2"], (".avi", ".mp4")),
    "mpeg2_b2": (MPEG2["b2"], (".ts", ".mpg")),
    "vp9_plain": (VP9["plain"], (".webm",)),
    "mjpeg_plain": (Coded("mjpeg", "yuvj420p"), (".avi",)),
}


def _damaged() -> Iterator[tuple[str, tuple[Maker, Maker]]]:
    for stream, (coded, suffixes) in DAMAGED_STREAMS.items():
        for suffix in suffixes:
            whole = partial(_encoded, f"{stream}{suffix}", coded)
            for kind, damage in DAMAGES.items():
                if kind == "lost_pieces" and suffix != ".ts":
                    continue
                name = f"{kind}_{stream}{suffix}"
                yield name, (partial(_damage, name, whole, damage), whole)


def _damage(name: str, whole: Maker, damage: Callable[[bytes, random.Random], bytes], folder: Path) -> Path:
    path = folder / name
    path.write_bytes(damage(whole(folder).read_bytes(), random.Random(name)))
    return path


def _zeroed(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) // 4, len(content) * 3 // 4)
    return content[:place] + bytes(200) + content[place + 200 :]


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(4):
        changed[rng.randrange(len(content) // 4, len(content) * 3 // 4)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: int(len(content) * rng.uniform(0.4, 0.9))]


def _lost_pieces(content: bytes, rng: random.Random) -> bytes:
    pieces = [content[place : place + TS_PACKET] for place in range(0, len(content), TS_PACKET)]
    del pieces[rng.randrange(len(pieces) // 3, len(pieces) // 2)]
    return b"".join(pieces)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "zeroed": _zeroed,
    "flipped": _flipped,
    "truncated": _truncated,
    "lost_pieces": _lost_pieces,
}
