"""The step that says who was in a sequence."""

from __future__ import annotations

from typing import Any

import pytest

from models.faces.tracker import FaceTracker
from rnb.contract import Batch, Context, Request, RequestError, SequencePoint, TensorSpec


def part(sequence: int, frames: Any, *, end: bool = False) -> Request:
    return Request(sequence, frames, parameters=SequencePoint(sequence, is_end=end).parameters)


def frame(number: int, name: str, left: float = 0) -> dict[str, Any]:
    face = {"box": [left, 0, left + 9, 9], "score": 1.0, "name": name, "distance": 0.25}
    return {"frame": number, "faces": [face]}


@pytest.fixture
def tracker() -> FaceTracker:
    step = FaceTracker(FaceTracker.Options(), Context())
    step.states = {number: step.start(number) for number in (1, 2)}
    return step


def test_the_last_request_of_a_sequence_has_its_tracks(tracker: FaceTracker) -> None:
    first = Batch((part(1, {"frames": [frame(0, "Ada"), frame(10, "Ada")]}), part(2, {"frames": []})))
    assert tracker(first).payloads == [None, None]
    last = Batch(
        (part(1, {"frames": [frame(20, "Ada", left=1)]}, end=True), part(2, {"frames": []}, end=True))
    )
    track = {"name": "Ada", "distance": 0.25, "first_frame": 0, "last_frame": 20, "num_faces": 3}
    assert tracker(last).payloads == [{"tracks": [track]}, {"tracks": []}]


def test_what_names_no_faces_is_refused(tracker: FaceTracker) -> None:
    with pytest.raises(RequestError, match="takes the faces of a video's frames"):
        tracker(Batch((part(1, None),)))
    with pytest.raises(ValueError, match="FaceRecognizer must come before"):
        FaceTracker.output(FaceTracker.Options(), (TensorSpec((1, 2)),))
