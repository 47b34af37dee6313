"""Finding and reading image files."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.faces.image_file import ImagePathIterator, read_image

RED, GREEN = [255, 0, 0], [0, 255, 0]


def write(path: Path, width: int = 40, height: int = 20) -> Path:
    """Red on the left, green on the right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 2] = picture[:, width // 2 :, 1] = 255
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), picture)
    return path


def test_images_lie_flat_or_by_label(tmp_path: Path) -> None:
    for name in ("b.png", "a/1.JPG", "a/0.webp"):
        write(tmp_path / name)
    (tmp_path / "a/notes.txt").touch()
    names = [str(tmp_path / name) for name in ("a/0.webp", "a/1.JPG", "b.png")]
    assert list(itertools.islice(ImagePathIterator(str(tmp_path)), 4)) == [*names, names[0]]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no image in it"):
        ImagePathIterator(str(tmp_path))
    with pytest.raises(ValueError, match="nowhere: not a folder of images"):
        ImagePathIterator("nowhere")


def test_an_image_is_rgb_in_its_own_size(tmp_path: Path) -> None:
    image, original = read_image(str(write(tmp_path / "a.png")), 800)
    assert original == (40, 20)
    assert image.shape == (20, 40, 3)
    assert [image[10, 2].tolist(), image[10, 37].tolist()] == [RED, GREEN]


def test_a_large_image_is_scaled_down(tmp_path: Path) -> None:
    image, original = read_image(str(write(tmp_path / "a.png")), 200)
    assert original == (40, 20)
    assert image.shape == (10, 20, 3)
    assert [image[5, 2].tolist(), image[5, 17].tolist()] == [RED, GREEN]


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    content = write(tmp_path / "a.jpg").read_bytes()
    # An APP1 segment with one entry of EXIF: orientation (0x112) is 6, to be turned clockwise for display.
    entry = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"Exif\0\0" + entry
    turned = content[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + content[2:]
    (tmp_path / "turned.jpg").write_bytes(turned)
    image, original = read_image(str(tmp_path / "turned.jpg"), 800)
    assert original == (20, 40)
    top, bottom = image[4, 10].astype(int), image[36, 10].astype(int)
    assert top[0] > 200 > 60 > top[1]
    assert bottom[1] > 200 > 60 > bottom[0]


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 cut"])
def test_what_is_no_image_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jpg: ") as caught:
        read_image(str(path), 800)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"none\.jpg: No such file"):
        read_image(str(tmp_path / "none.jpg"), 800)
