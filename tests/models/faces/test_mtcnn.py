"""MTCNN with its real weights: which faces it finds, and that a batch finds the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.faces.face import share
from models.faces.mtcnn import Mtcnn, Sensitivity, pyramid
from tests.support import face_data

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mtcnn() -> Mtcnn:
    return Mtcnn(face_data.weights(), CPU)


def batch(*pictures: face_data.Picture) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures))


def test_a_face_is_found_where_it_is(mtcnn: Mtcnn) -> None:
    ((face,),) = mtcnn.find(batch(face_data.picture("gallery/astronaut/0.png")))
    assert share(face.box, (180, 60, 268, 172)) > 0.85  # from the chin to the hair, as the eye sees it
    assert face.score > 0.99


def test_pictures_without_a_face_have_none(mtcnn: Mtcnn) -> None:
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        assert mtcnn.find(batch(face_data.picture(f"views/nobody/{name}"))) == [[]]


def test_a_batch_finds_what_single_pictures_find(mtcnn: Mtcnn) -> None:
    picture = face_data.picture("gallery/astronaut/0.png")
    moved = np.roll(picture, 90, axis=1)
    pictures = (picture, np.zeros_like(picture), moved, np.concatenate([moved[256:], picture[:256]]))
    together = mtcnn.find(batch(*pictures))
    assert [len(faces) for faces in together] == [1, 0, 1, 1]
    for picture, faces in zip(pictures, together, strict=True):
        (alone,) = mtcnn.find(batch(picture))
        for face, same in zip(faces, alone, strict=True):
            assert face.box == pytest.approx(same.box, abs=0.05)
            assert face.score == pytest.approx(same.score, abs=1e-4)


def test_two_faces_side_by_side(mtcnn: Mtcnn) -> None:
    half = face_data.picture("views/hopper/half.png")
    ((one, other),) = mtcnn.find(batch(np.concatenate([half, half], axis=1)))
    left, right = sorted([one.box, other.box])
    across = half.shape[1]
    assert share((left[0] + across, left[1], left[2] + across, left[3]), right) > 0.85


def test_smaller_faces_are_not_looked_for() -> None:
    picture = batch(face_data.picture("gallery/astronaut/0.png"))  # its face has 87 x 116 pixels
    found = [
        Mtcnn(face_data.weights(), CPU, Sensitivity(min_face_size=size)).find(picture)[0]
        for size in (20, 300)
    ]
    assert [len(faces) for faces in found] == [1, 0]


def test_a_tiny_picture_has_no_face(mtcnn: Mtcnn) -> None:
    assert mtcnn.find(torch.zeros((2, 1, 1, 3), dtype=torch.uint8)) == [[], []]
    assert mtcnn.find(torch.zeros((1, 2000, 1, 3), dtype=torch.uint8)) == [[]]


def test_noise_is_worked_through(mtcnn: Mtcnn) -> None:
    noise = torch.randint(0, 256, (2, 200, 300, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    assert [len(faces) for faces in mtcnn.find(noise)] == [0, 0]


def test_the_levels_of_the_pyramid() -> None:
    assert pyramid(40, 80, 40) == [(12, 24)]
    assert pyramid(39, 80, 40) == [(12, 24)]
    assert pyramid(20, 80, 40) == []
    assert len(pyramid(480, 640, 40)) == 8
    assert pyramid(480, 640, 40)[0] == (144, 192)


def test_other_weights_are_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pnet\.pt: no such weights; 'make data'"):
        Mtcnn(str(tmp_path), CPU)
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "pnet.pt")
    with pytest.raises(ValueError, match=r"pnet\.pt: no weights of PNet: ") as caught:
        Mtcnn(str(tmp_path), CPU)
    assert "\n" not in str(caught.value)
    (tmp_path / "pnet.pt").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"pnet\.pt: no weights of PNet: "):
        Mtcnn(str(tmp_path), CPU)
