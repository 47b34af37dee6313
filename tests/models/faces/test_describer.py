"""Descriptors of real faces: near for one person, far for two."""

from __future__ import annotations

import numpy as np
import pytest

from models.faces.describer import SIZE, Describer
from models.faces.face import Face
from tests.support import face_data

ASTRONAUT = Face((180, 60, 268, 172), 1.0)
HOPPER = Face((177, 111, 362, 345), 1.0)


@pytest.fixture(scope="module")
def describer() -> Describer:
    return Describer(face_data.weights())


def test_two_people_are_apart_and_one_is_not(describer: Describer) -> None:
    astronaut, hopper = (face_data.picture(f"gallery/{name}") for name in ("astronaut/0.png", "hopper/0.jpg"))
    (one,) = describer.describe(astronaut, [ASTRONAUT])
    (other,) = describer.describe(hopper, [HOPPER])
    darker = face_data.picture("views/astronaut/darker.png")
    (again,) = describer.describe(darker, [ASTRONAUT])
    assert np.linalg.norm(one - other) > 0.6
    assert np.linalg.norm(one - again) < 0.3


def test_several_faces_of_a_picture_in_their_order(describer: Describer) -> None:
    picture = face_data.picture("gallery/astronaut/0.png")
    wider = Face((150, 40, 290, 190), 1.0)
    both = describer.describe(picture, [ASTRONAUT, wider])
    assert both.shape == (2, SIZE)
    for face, descriptor in zip([ASTRONAUT, wider], both, strict=True):
        np.testing.assert_allclose(describer.describe(picture, [face])[0], descriptor, atol=1e-5)
    assert describer.describe(picture, []).shape == (0, SIZE)


def test_a_face_at_the_edge_is_described(describer: Describer) -> None:
    picture = face_data.picture("gallery/hopper/0.jpg")[:, :270]
    assert np.isfinite(describer.describe(np.ascontiguousarray(picture), [HOPPER])).all()


def test_the_build_of_dlib_is_reported(describer: Describer) -> None:
    facts = describer.facts()
    assert facts.keys() == {"dlib", "dlib_uses_cuda"}
    assert isinstance(facts["dlib_uses_cuda"], bool)
