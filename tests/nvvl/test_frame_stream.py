"""A stream gives the frames that random access gives, decoding each of them once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nvvl.errors import VideoError
from nvvl.frame_stream import FrameStream
from nvvl.indexing import index_of
from nvvl.video_file import VideoFile
from nvvl.window import Window
from tests.support import numbered_videos as nv
from tests.support.numbered_videos import HEIGHT, NUM_FRAMES, WIDTH
from tests.support.single_frames import SingleFrames

CODED = {
    "b3.mp4": nv.H264["b3"],
    "open.mkv": nv.H264["open"],
    "hevc.mp4": nv.HEVC["b3"],
    "mpeg2.ts": nv.MPEG2["b2"],
}


def stream_of(path: Path, frame_step: int = 1) -> FrameStream:
    return FrameStream(str(path), Window.centred(WIDTH, HEIGHT), frame_step=frame_step)


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("frame_step", [1, 2, 7])
def test_frames_are_those_of_random_access(tmp_path: Path, name: str, frame_step: int) -> None:
    path = nv.encode(tmp_path / name, CODED[name])
    stream = stream_of(path, frame_step)
    num_frames = len(nv.sequential(path))
    wanted = range(0, 2 * num_frames, frame_step)
    expected = SingleFrames().of(path, [number % num_frames for number in wanted])
    for number, picture in zip(wanted, expected, strict=True):
        assert (stream.picture(number) == picture).all(), f"frame {number}"
    stream.close()


def test_frames_that_nobody_asks_for_are_passed_over(tmp_path: Path) -> None:
    path = nv.encode(tmp_path / "a.mp4", nv.H264["b3"])
    stream, expected = stream_of(path), SingleFrames().of(path, range(NUM_FRAMES))
    for number in (0, 1, 9, 10, 33, 5, 6, 47, NUM_FRAMES + 2):
        assert (stream.picture(number) == expected[number % NUM_FRAMES]).all(), f"frame {number}"


def test_a_jump_over_the_end_lands_anywhere(tmp_path: Path) -> None:
    """As where frames are dropped. Behind a keyframe pictures are stored that refer to what is before it."""
    path = nv.encode(tmp_path / "a.mp4", nv.H264["open"])
    expected = SingleFrames().of(path, range(NUM_FRAMES))
    for first in range(NUM_FRAMES):
        stream = stream_of(path, 5)
        for number in (0, NUM_FRAMES + first, NUM_FRAMES + first + 5, NUM_FRAMES + first + 15):
            assert (stream.picture(number) == expected[number % NUM_FRAMES]).all(), f"{number}"
        stream.close()


def test_a_damaged_file_is_not_decoded_from_its_beginning_for_each_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nv.encode(tmp_path / "a.mkv", nv.H264["b3"], range(100))
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) - 100, 300):
        content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    stream, fed, decode = stream_of(path), list[object](), VideoFile.decode

    def counted(file: VideoFile, packet: object) -> object:
        fed.append(packet)
        return decode(file, packet)

    monkeypatch.setattr(VideoFile, "decode", counted)
    num_refused = 0
    for number in range(7, 100):
        try:
            stream.picture(number)
        except VideoError:
            num_refused += 1
    assert num_refused > 5
    assert len(fed) < 250


def test_no_packet_is_decoded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nv.encode(tmp_path / "a.mp4", nv.H264["b3"])
    stream = stream_of(path)
    fed: list[int] = []
    decode = VideoFile.decode

    def counted(file: VideoFile, packet: object) -> object:
        fed.append(getattr(packet, "pts", -1))
        return decode(file, packet)

    monkeypatch.setattr(VideoFile, "decode", counted)
    stream.picture(0)
    assert len(fed) < 15, "no more than the decoder needs for the first frame"
    for number in range(1, NUM_FRAMES):
        stream.picture(number)
    packets = [packet for packet in fed if packet >= 0]
    assert sorted(packets) == list(range(NUM_FRAMES))


def test_of_every_fourth_frame_less_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nv.encode(tmp_path / "a.mp4", nv.H264["b3"])
    num_fed = {}
    decode = VideoFile.decode
    for step in (1, 4):
        fed: list[object] = []
        monkeypatch.setattr(
            VideoFile, "decode", lambda file, packet, fed=fed: fed.append(0) or decode(file, packet)
        )
        stream = stream_of(path, step)
        for number in range(0, NUM_FRAMES, step):
            stream.picture(number)
        num_fed[step] = len(fed)
    assert num_fed[4] < num_fed[1] * 0.7


def test_what_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"x" * 100)
    with pytest.raises(VideoError, match="no video"):
        stream_of(tmp_path / "none.mp4")


def test_damage_is_refused_and_the_stream_goes_on(tmp_path: Path) -> None:
    path = nv.encode(tmp_path / "a.mp4", nv.H264["b3"])
    content = bytearray(path.read_bytes())
    place = content.index(b"mdat") + len(content) // 3
    content[place : place + 200] = bytes(200)
    path.write_bytes(content)
    expected = [SingleFrames().outcome(path, [number]) for number in range(NUM_FRAMES)]
    stream, num_given = stream_of(path), 0
    for number, outcome in enumerate(expected):
        try:
            picture = stream.picture(number)
        except VideoError:
            continue
        assert [picture.tobytes()] == outcome, f"frame {number}"
        num_given += 1
    assert any(isinstance(outcome, str) for outcome in expected)
    assert num_given > NUM_FRAMES / 2


@pytest.mark.long
@pytest.mark.parametrize("name", ["b3.mp4", "open.mkv"])
@pytest.mark.parametrize("how", ["replaced", "overwritten", "cut short", "removed"])
def test_a_file_that_is_changed_gives_no_frames_from_then_on(tmp_path: Path, name: str, how: str) -> None:
    """Its index says where the packets of another file were."""
    path = nv.encode(tmp_path / name, CODED[name], range(150))
    other = nv.encode(tmp_path / f"other-{name}", CODED[name], range(150, 300))
    stream, expected = stream_of(path), SingleFrames().of(path, range(150))
    for number in range(10):
        assert (stream.picture(number) == expected[number]).all()
    if how == "replaced":
        other.replace(path)
    elif how == "overwritten":
        path.write_bytes(other.read_bytes())
    elif how == "cut short":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    why = "cannot be opened: No such file" if how == "removed" else "was changed while it was played"
    for number in range(10, 310):
        with pytest.raises(VideoError, match=why):
            stream.picture(number)
    stream.close()


def test_damage_in_a_picture_that_is_shown_later(tmp_path: Path) -> None:
    """A decoder says so when it gives it out; what refers to it comes before."""
    intact = nv.encode(tmp_path / "intact.mp4", nv.H264["b3"])
    original, content = SingleFrames().of(intact, range(NUM_FRAMES)), intact.read_bytes()
    with VideoFile(str(intact)) as file:
        index = index_of(file)
    later = [packet for packet in range(30) if index.order[packet] > packet]
    num_refused = 0
    for packet in later:
        damaged, place = bytearray(content), index.packets.positions[packet]
        middle = place + index.packets.sizes[packet] // 2
        damaged[middle : middle + 8] = bytes(255 - value for value in damaged[middle : middle + 8])
        path = tmp_path / f"{packet}.mp4"
        path.write_bytes(damaged)
        stream, frame = stream_of(path), index.frame_of_packet[packet]
        for number in range(frame + 1):
            try:
                picture = stream.picture(number)
            except VideoError:
                num_refused += 1
                continue
            is_known = isinstance(SingleFrames().outcome(path, [number]), str)
            assert (picture == original[number]).all() or not is_known, f"{packet}: {number}"
        stream.close()
    assert num_refused > len(later)
