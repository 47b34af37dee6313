"""Faces from frame to frame."""

from __future__ import annotations

from typing import Any

import pytest

from models.faces.tracks import Tracks


def face(left: float, top: float = 0, *, name: str | None = None, distance: float = 0.3) -> dict[str, Any]:
    return {"box": [left, top, left + 40, top + 40], "score": 1.0, "name": name, "distance": distance}


@pytest.fixture
def tracks() -> Tracks:
    return Tracks(least_share=0.3, most_gap=20)


def test_a_face_that_moves_a_little_is_the_same(tracks: Tracks) -> None:
    for frame in range(0, 50, 10):
        tracks.add(frame, [face(frame), face(200 - frame, 100)])
    assert [(one["first_frame"], one["last_frame"], one["num_faces"]) for one in tracks.described()] == [
        (0, 40, 5),
        (0, 40, 5),
    ]


def test_the_nearest_boxes_belong_together_whatever_their_order(tracks: Tracks) -> None:
    tracks.add(0, [face(0, name="left"), face(30, name="right")])
    tracks.add(10, [face(34, name="right"), face(4, name="left")])
    assert [(one["name"], one["num_faces"]) for one in tracks.described()] == [("left", 2), ("right", 2)]


def test_a_face_elsewhere_or_after_a_gap_is_another(tracks: Tracks) -> None:
    tracks.add(0, [face(0)])
    tracks.add(10, [face(300)])
    tracks.add(20, [face(0)])
    tracks.add(50, [face(300)])
    assert [(one["first_frame"], one["last_frame"]) for one in tracks.described()] == [
        (0, 20),
        (10, 10),
        (50, 50),
    ]


def test_the_name_is_that_of_most_of_its_faces(tracks: Tracks) -> None:
    names = [("Ada", 0.5), (None, 0.9), ("Eileen", 0.2), ("Ada", 0.4)]
    for number, (name, distance) in enumerate(names):
        tracks.add(number, [face(number, name=name, distance=distance)])
    [track] = tracks.described()
    assert (track["name"], track["distance"], track["num_faces"]) == ("Ada", 0.4, 4)


def test_of_names_as_frequent_the_nearer_one(tracks: Tracks) -> None:
    tracks.add(0, [face(0, name="Ada", distance=0.5)])
    tracks.add(1, [face(0, name="Eileen", distance=0.2)])
    assert tracks.described()[0]["name"] == "Eileen"


def test_a_face_without_a_name_has_none(tracks: Tracks) -> None:
    tracks.add(3, [face(0)])
    assert tracks.described() == [
        {"name": None, "distance": None, "first_frame": 3, "last_frame": 3, "num_faces": 1}
    ]
