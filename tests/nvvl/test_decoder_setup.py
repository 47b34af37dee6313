"""Packets that RnB cuts out of a file decode to what they decode to from a container."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from nvvl.bits import Bits
from nvvl.damage import Damage
from nvvl.index import VideoIndex
from nvvl.index_cache import IndexFolder, IndexKey
from nvvl.indexing import index_of
from nvvl.mp4_index import index_from_tables
from nvvl.pyav_backend import frames_of
from nvvl.video_file import VideoFile
from tests.support import mp4_files
from tests.support import numbered_videos as nv
from tests.support.mp4_files import Written
from tests.support.single_frames import SingleFrames, expected, rgb

CODED = {"h264_b3": nv.H264["b3"], "h264_open": nv.H264["open"], "hevc_b3": nv.HEVC["b3"]}
NUM_FRAMES = 30
# Damaged in so many ways each.
NUM_WAYS = 6
Outcome = tuple[dict[int, bytes], set[int]]


def decoded(index: VideoIndex, wanted: range, *, conceal: bool) -> Outcome:
    """The frames that come out, and those of them that damage may have changed."""
    damage = Damage(index, conceal=conceal)
    with VideoFile(index.filename, conceal=conceal) as file:
        frames = {number: rgb(frame).tobytes() for number, frame in frames_of(file, index, wanted, damage)}
    return frames, {frame for frame in wanted if damage.is_suspect(frame)}


def index_with_setup(path: Path) -> VideoIndex:
    index = index_from_tables(str(path))
    assert index is not None
    assert index.decoder_setup is not None
    return index


@pytest.mark.parametrize("name", CODED)
def test_a_request_opens_no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = mp4_files.write(tmp_path / "a.mp4", Written(CODED[name]))
    pictures = expected(path)
    monkeypatch.setattr(VideoFile, "_open", lambda file: pytest.fail("the file was opened with FFmpeg"))
    wanted = random.Random(name).sample(range(len(pictures)), 12)
    for picture, number in zip(SingleFrames().of(path, wanted), wanted, strict=True):
        assert (picture == pictures[number]).all(), f"frame {number}"


@pytest.mark.parametrize("conceal", [False, True])
@pytest.mark.parametrize("name", CODED)
def test_damage_shows_as_it_does_from_a_container(tmp_path: Path, name: str, conceal: bool) -> None:
    whole = mp4_files.write(tmp_path / "whole.mp4", Written(CODED[name], sound=True)).read_bytes()
    num_changed = 0
    for seed in range(NUM_WAYS):
        path = tmp_path / f"{seed}.mp4"
        path.write_bytes(damaged(whole, random.Random(seed)))
        index = index_from_tables(str(path))
        if index is None:
            continue
        first = random.Random(seed).randrange(NUM_FRAMES - 5)
        for wanted in (range(NUM_FRAMES), range(first, first + 5)):
            outcome = decoded(index, wanted, conceal=conceal)
            assert outcome == decoded(replace(index, decoder_setup=None), wanted, conceal=conceal), seed
            num_changed += bool(outcome[1]) or len(outcome[0]) < len(wanted)
    assert num_changed or name == "hevc_b3", "the changes must do some harm"


def damaged(content: bytes, rng: random.Random) -> bytes:
    """With a few bytes changed in the middle of what 'mdat' holds."""
    changed, begin = bytearray(content), content.index(b"mdat")
    end = content.index(b"moov", begin)
    for _ in range(3):
        changed[rng.randrange(begin + (end - begin) // 4, end - 8)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def test_a_stream_that_does_not_tell_how_late_pictures_come(tmp_path: Path) -> None:
    """A decoder that has to find it out leaves out pictures meanwhile."""
    told = nv.encode(tmp_path / "told.mp4", nv.H264["b3"])
    path = remuxed_untold(told, tmp_path / "untold.mp4")
    index, pictures = index_with_setup(path), [picture.tobytes() for picture in expected(told)]
    for first in range(0, nv.NUM_FRAMES, 5):
        wanted = range(first, min(first + 4, nv.NUM_FRAMES))
        frames, _ = decoded(index, wanted, conceal=False)
        assert frames == {number: pictures[number] for number in wanted}
    assert index.decoder_setup is not None
    early = replace(index, decoder_setup=replace(index.decoder_setup, reorder_depth=0))
    frames, _ = decoded(early, range(nv.NUM_FRAMES), conceal=False)
    assert len(frames) < nv.NUM_FRAMES, "so the file is one for which it matters"


def remuxed_untold(source: Path, target: Path) -> Path:
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream: Any = writer.add_stream_from_template(reader.streams.video[0])
        stream.codec_context.extradata = without_usability(stream.codec_context.extradata)
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    return target


def test_tables_with_more_late_pictures_than_a_decoder_holds(tmp_path: Path) -> None:
    """FFmpeg would end the process for it."""
    coded = nv.Coded("libx264", options=nv.x264(keyint=250, bframes=0))
    path, setups = nv.encode(tmp_path / "a.mp4", coded), {}
    for num_late in (16, 17):
        change = partial(with_late, num_late=num_late)
        late = nv.remux(path, tmp_path / f"{num_late}.mp4", change, {"use_editlist": "0"})
        index = index_from_tables(str(late))
        assert index is not None
        setups[num_late] = index.decoder_setup
    assert setups[16] is not None
    assert setups[16].reorder_depth == 16
    assert setups[17] is None


def with_late(packets: nv.Packets, num_late: int) -> nv.Packets:
    """So many packets displayed behind one that comes after them."""
    step, delay = packets[1].dts - packets[0].dts, len(packets)
    places = [0, *range(2, num_late + 2), 1, *range(num_late + 2, len(packets))]
    for number, (packet, place) in enumerate(zip(packets, places, strict=True)):
        packet.dts, packet.pts = number * step, (delay + place) * step
    return packets


def without_usability(configuration: bytes) -> bytes:
    """An avcC whose only sequence parameter set, of High profile and whole macroblocks, has no VUI."""
    size = int.from_bytes(configuration[6:8], "big")
    unit, rest = configuration[8 : 8 + size], configuration[8 + size :]
    bits = Bits(unit[1:])
    assert bits.take(8) == 100
    bits.skip(16)
    for field in ("ue", "ue", "ue", "ue", 2, "ue", "ue", "ue", "ue", 1, "ue", "ue", 2, 1):
        bits.skip(field) if isinstance(field, int) else bits.ue()
    whole = unit.replace(b"\x00\x00\x03", b"\x00\x00")
    num_kept = 8 * len(whole) - bits.num_left
    kept = int.from_bytes(whole, "big") >> bits.num_left << 2 | 1
    num_bytes = (num_kept + 2 + 7) // 8
    new = (kept << (8 * num_bytes - num_kept - 2)).to_bytes(num_bytes, "big")
    return configuration[:6] + len(new).to_bytes(2, "big") + new + rest


@pytest.mark.parametrize("name", ["rotated_90", "edit_list", "vp9_odd_size", "transport_stream"])
def test_what_a_demuxer_has_to_read(odd_files: dict[str, Path], name: str) -> None:
    with VideoFile(str(odd_files[name])) as file:
        assert index_of(file).decoder_setup is None


def test_a_setup_is_kept_on_disk(tmp_path: Path) -> None:
    path, folder = nv.encode(tmp_path / "a.mp4", nv.H264["b3"]), IndexFolder(str(tmp_path / "indexes"))
    key = IndexKey.of(str(path), conceal=False, decode_all=False)
    index = index_with_setup(path)
    folder.put(key, index)
    again = folder.get(key)
    assert again is not None
    assert again.decoder_setup == index.decoder_setup
