"""Real faces scaled, mirrored, darker, turned and compressed: named by their own gallery, by no other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.faces.detectors import DlibDetector, MtcnnDetector
from models.faces.recognizer import FaceRecognizer
from rnb.contract import Context, Step
from tests.support import face_data
from utils import sample_faces

PEOPLE = ("astronaut", "hopper")


def compressed(picture: face_data.Picture) -> face_data.Picture:
    file = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)


VIEWS: dict[str, Callable[[face_data.Picture], face_data.Picture]] = {
    **sample_faces.VIEWS,
    "jpeg-30": compressed,
}


@cache
def step(kind: type[Step], **options: Any) -> Any:
    options["weights"] = face_data.weights()
    return kind(kind.Options.model_validate(options), Context())


@pytest.fixture(scope="module")
def galleries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A gallery with all people, and one with each of them alone."""
    folders = {"all": face_data.pictures() / "gallery"}
    for person in PEOPLE:
        folders[person] = tmp_path_factory.mktemp("gallery")
        shutil.copytree(folders["all"] / person, folders[person] / person)
    return {name: str(folder) for name, folder in folders.items()}


def names(detector: Step, gallery: str, picture: face_data.Picture) -> list[str | None]:
    found: Any = detector(face_data.requests_of([np.ascontiguousarray(picture)]))
    (result,) = step(FaceRecognizer, gallery=gallery)(found).payloads
    return [face["name"] for face in result["faces"]]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("person", "other"), [PEOPLE, PEOPLE[::-1]])
def test_a_view_is_named_and_the_other_person_is_not(
    person: str, other: str, view: str, galleries: dict[str, str]
) -> None:
    picture = VIEWS[view](face_data.head(person))
    detector = step(MtcnnDetector)
    assert names(detector, galleries["all"], picture) == [person]
    assert names(detector, galleries[other], picture) == [None]


@pytest.mark.parametrize("view", VIEWS)
def test_with_the_other_detector_too(view: str, galleries: dict[str, str]) -> None:
    picture = VIEWS[view](face_data.head("astronaut"))
    detector = step(DlibDetector, upsample=int(view == "half"))  # it looks for 80 pixels, and this has 44
    assert names(detector, galleries["all"], picture) == ["astronaut"]
    assert names(detector, galleries["hopper"], picture) == [None]


@pytest.mark.parametrize("name", sample_faces.NOBODY)
def test_where_nobody_is_nobody_is_found(name: str, galleries: dict[str, str]) -> None:
    picture = face_data.picture(str(Path("views/nobody") / name))
    assert names(step(MtcnnDetector), galleries["all"], picture) == []
