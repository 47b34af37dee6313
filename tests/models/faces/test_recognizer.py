"""Who the faces are: known people by their name, all others by none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from models.faces.face import Face, FaceResult, Found
from models.faces.recognizer import FaceRecognizer
from rnb.contract import CPU, Batch, Context, Device, RequestError, TensorSpec
from tests.support import face_data
from tests.support.face_data import requests_of

ASTRONAUT = Face((50, 30, 138, 142), 0.99)
"""Of the head."""


def recognizer(gallery: Path) -> Any:
    options = FaceRecognizer.Options(gallery=str(gallery), weights=face_data.weights())
    return FaceRecognizer(options, Context())


def found(*faces: tuple[Face, ...], **payload: Any) -> Batch:
    pictures = requests_of([face_data.head("astronaut")] * len(faces), **payload)
    (request,) = pictures.requests
    return Batch((request.with_payload(Found(request.payload, faces)),), pictures.tensors, pictures.rows)


@pytest.fixture(scope="module")
def step() -> Any:
    return recognizer(face_data.pictures() / "gallery")


def test_a_known_face_has_a_name(step: Any) -> None:
    (result,) = step.results(step(found((ASTRONAUT,))))
    (face,) = result["faces"]
    assert face.keys() == {"box", "score", "name", "distance"}
    assert face["name"] == "astronaut"
    assert face["distance"] < 0.2
    assert face["box"] == [50, 30, 138, 142]


def test_nobody_else_has(tmp_path: Path) -> None:
    shutil.copytree(face_data.pictures() / "gallery/hopper", tmp_path / "hopper")
    step = recognizer(tmp_path)
    (result,) = step.results(step(found((ASTRONAUT,))))
    (face,) = result["faces"]
    assert face["name"] is None
    assert face["distance"] > 0.6
    assert step.facts()["gallery"] == {"people": 1, "pictures": 1}


def test_frames_of_a_video_have_their_numbers(step: Any) -> None:
    (result,) = step.results(step(found((), (ASTRONAUT,), (), frames=(0, 5, 10))))
    assert [(one["frame"], len(one["faces"])) for one in result["frames"]] == [(0, 0), (5, 1), (10, 0)]
    assert result["frames"][1]["faces"][0]["name"] == "astronaut"


def test_it_comes_after_a_detector(step: Any) -> None:
    with pytest.raises(ValueError, match="so a detector must come before"):
        FaceRecognizer.output(None, (TensorSpec((1, 5)),))
    with pytest.raises(RequestError, match="takes what a detector found"):
        step(requests_of([face_data.head("astronaut")]))


def test_the_gallery_is_checked_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = FaceRecognizer.Options(gallery=str(tmp_path / "none"), weights=face_data.weights())
    with pytest.raises(ValueError, match="none: not a folder; 'make data' prepares a sample"):
        FaceRecognizer.check_machine(options, CPU)
    monkeypatch.setattr("dlib.DLIB_USE_CUDA", False)
    with pytest.raises(ValueError, match="no CUDA"):
        FaceRecognizer.check_machine(options, Device("cuda", 0))


def test_results_agree_when_names_do_and_boxes_about() -> None:
    face = {"box": [10.0, 20.0, 200.0, 300.0], "score": 0.9, "name": "ann", "distance": 0.3}
    moved = {**face, "box": [10.6, 20.0, 201.0, 302.0], "distance": 0.31}
    assert FaceResult.agree({"faces": [face]}, {"faces": [moved]})
    assert not FaceResult.agree({"faces": [face]}, {"faces": [{**face, "name": "bob"}]})
    assert not FaceResult.agree({"faces": [face]}, {"faces": [{**face, "name": None}]})
    assert not FaceResult.agree({"faces": [face]}, {"faces": [{**face, "box": [10.0, 20.0, 210.0, 300.0]}]})
    assert not FaceResult.agree({"faces": [face]}, {"faces": []})
