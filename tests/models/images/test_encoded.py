"""The bytes of an image, from a file or a record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.images.encoded import Encoded, read_encoded
from models.images.errors import ImageError
from tests.support.images import encode, picture, write_images, write_tfrecord
from utils.tf_example import serialize_example
from utils.tfrecord import find_records, write_records


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    (path,) = write_images(tmp_path, 1)
    assert read_encoded(str(path)) == Encoded(str(path), path.read_bytes())


def test_a_record_has_a_class_beside_the_image(tmp_path: Path) -> None:
    images = [encode(picture(20, 20, seed)) for seed in range(2)]
    places = [str(place) for place in find_records(str(write_tfrecord(tmp_path / "a.tfrecord", images)))]
    assert read_encoded(places[1]) == Encoded(places[1], images[1], 1, "class 1")


@pytest.mark.parametrize(
    ("features", "label", "text"),
    [
        ({}, None, None),
        ({"image/class/label": b"1"}, None, None),
        ({"image/class/text": b"\xff"}, None, "\ufffd"),
    ],
)
def test_a_class_may_be_missing_or_odd(
    tmp_path: Path, features: dict[str, bytes], label: int | None, text: str | None
) -> None:
    path = tmp_path / "a.tfrecord"
    write_records(path, [serialize_example({"image/encoded": b"image", **features})])
    (place,) = find_records(str(path))
    assert read_encoded(str(place))[1:] == (b"image", label, text)


def test_what_cannot_be_read_is_a_line_with_its_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    records = tmp_path / "a.tfrecord"
    write_records(
        records, [b"\xff", serialize_example({"other": 1}), serialize_example({"image/encoded": 1}), b"x"]
    )
    places = [str(place) for place in find_records(str(records))]
    records.write_bytes(records.read_bytes()[:-1])
    for payload, problem in (
        (str(tmp_path / "none.jpg"), "cannot be read: No such file"),
        (str(tmp_path), "not a file of up to 256 MiB"),
        (str(tmp_path / "fifo.jpg"), "not a file of up to 256 MiB"),
        (f"{tmp_path}/none.tfrecord@0+16", "cannot be read: No such file"),
        (f"{records}@0+{1 << 29}", "not a record of up to 256 MiB"),
        (places[0], "not a tf.train.Example: a number is cut short"),
        (places[1], "the tf.train.Example has no image/encoded"),
        (places[2], "the tf.train.Example has no image/encoded"),
        (places[3], "corrupt record: the checksum of its data is wrong"),
    ):
        with pytest.raises(ImageError, match=problem) as refusal:
            read_encoded(payload)
        assert str(refusal.value).startswith(f"{payload}: ")
        assert "\n" not in str(refusal.value)
