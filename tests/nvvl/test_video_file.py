"""Whatever is wrong with a file is that file's error, and what does not matter about it does not matter."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nvvl.errors import VideoError
from nvvl.indexing import index_of
from nvvl.video_file import VideoFile
from tests.support.videos import write_video


def num_frames(path: Path | str) -> int:
    with VideoFile(str(path)) as file:
        return index_of(file).num_frames


def test_a_title_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "titled.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLETITLE"
        encode(container, "h264", 12)
    path.write_bytes(path.read_bytes().replace(b"TITLETITLE", b"\xff\xfe\xc3\x28TITLE!"))
    assert num_frames(path) == 12


def encode(container: Any, codec: str, count: int, **options: str) -> None:
    stream = container.add_stream(codec, rate=30, options=options)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(count):
        picture = np.full((48, 64, 3), number * 10, dtype=np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode())


def test_a_name_that_ffmpeg_could_take_for_a_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "12:30.mp4", num_frames=10)
    monkeypatch.chdir(tmp_path)
    assert num_frames("12:30.mp4") == 10


@pytest.mark.timeout(20)
def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "endless.mp4").symlink_to("/dev/zero")
    (tmp_path / "folder.mp4").mkdir()
    for name in ("fifo", "endless", "folder"):
        with pytest.raises(VideoError, match="cannot be opened: it is no regular file"):
            num_frames(tmp_path / f"{name}.mp4")


def test_a_stream_that_begins_without_a_keyframe(tmp_path: Path) -> None:
    whole, headless = tmp_path / "whole.webm", tmp_path / "headless.webm"
    with av.open(str(whole), "w") as container:
        encode(container, "libvpx-vp9", 20, deadline="realtime", g="100")
    with av.open(str(whole)) as source, av.open(str(headless), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if number and packet.size:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(VideoError, match="no frame of its vp9 stream is intact"):
        num_frames(headless)


def test_a_stream_that_turns_up_late(tmp_path: Path) -> None:
    """A transport stream that was spliced: sound begins in its second half."""
    parts = []
    for has_sound in (False, True):
        path = tmp_path / f"{has_sound}.ts"
        with av.open(str(path), "w") as container:
            if has_sound:
                sound = container.add_stream("mp2", rate=48000)
            encode(container, "mpeg2video", 12)
            if has_sound:
                samples = np.zeros((1, 1152 * 2), dtype=np.int16)
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
                frame.sample_rate = 48000
                container.mux(sound.encode(frame))
                container.mux(sound.encode())
        parts.append(path.read_bytes())
    spliced = tmp_path / "spliced.ts"
    spliced.write_bytes(b"".join(parts))
    assert num_frames(spliced) >= 12


@pytest.mark.parametrize("call", ["demux", "seek", "decode"])
def test_every_error_of_ffmpeg_is_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    file = VideoFile(str(write_video(tmp_path / "a.mp4", num_frames=10)))
    opened = file._open()

    class Failing:
        def __getattr__(self, name: str) -> Any:
            def fail(*arguments: Any, **keywords: Any) -> None:
                raise av.error.ExternalError(-542398533, "Generic error in an external library", "x")

            return fail

    broken = type(opened)(Failing(), opened.stream)
    monkeypatch.setattr(file, "_opened", broken)
    if call == "decode":
        monkeypatch.setattr(VideoFile, "decoder", Failing())
    use: dict[str, Callable[[], object]] = {
        "demux": lambda: list(file.demux()),
        "seek": lambda: file.seek(0),
        "decode": lambda: file.decode(None),
    }
    with pytest.raises(VideoError, match="Generic error in an external library"):
        use[call]()


def test_a_file_that_is_cut_short_while_it_is_read_ends_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mkv", num_frames=200)
    demux = VideoFile.demux

    def cutting(file: VideoFile) -> Iterator[Any]:
        for packet in demux(file):
            os.truncate(path, 1)
            yield packet

    monkeypatch.setattr(VideoFile, "demux", cutting)
    with contextlib.suppress(VideoError):  # FFmpeg has read some of it ahead
        num_frames(path)


def test_a_file_that_vanishes_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", num_frames=12)
    codec_of = vars(VideoFile)["codec"].fget

    def removing(file: VideoFile) -> str:
        codec = codec_of(file)
        path.unlink(missing_ok=True)
        return str(codec)

    monkeypatch.setattr(VideoFile, "codec", property(removing))
    with pytest.raises(VideoError, match=r"a\.mkv: cannot be read: No such file"):
        num_frames(path)
