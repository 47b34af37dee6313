"""Faces of a video over time: which of them are one and the same, and who that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.faces.face import share


@dataclass(kw_only=True)
class Track:
    """One face from frame to frame."""

    box: tuple[float, ...]
    """Where it was last, in pixels of the original: x_min, y_min, x_max, y_max."""
    first_frame: int
    last_frame: int
    num_faces: int = 0
    distances: dict[str, list[float]] = field(default_factory=dict)
    """Of the faces that had a name, by that name."""

    def add(self, frame: int, face: Mapping[str, Any]) -> None:
        self.box, self.last_frame = tuple(face["box"]), frame
        self.num_faces += 1
        if face["name"] is not None:
            self.distances.setdefault(face["name"], []).append(face["distance"])

    def described(self) -> dict[str, Any]:
        """As JSON. The name is the one that most of its faces have, of equals the nearer one."""
        found: dict[str, Any] = {
            "name": None,
            "distance": None,
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "num_faces": self.num_faces,
        }
        if self.distances:
            name, nearest = min(self.distances.items(), key=lambda one: (-len(one[1]), min(one[1])))
            found |= {"name": name, "distance": min(nearest)}
        return found


class Tracks:
    """The tracks of one video, frame after frame.

    A face goes on with the track whose last box it shares most with, if that is `least_share` of their union
    and the track was seen within `most_gap` frames; else it begins a track.
    """

    def __init__(self, *, least_share: float, most_gap: int) -> None:
        self._least_share, self._most_gap = least_share, most_gap
        self._tracks: list[Track] = []

    def add(self, frame: int, faces: Sequence[Mapping[str, Any]]) -> None:
        """The faces of a later frame than the last one, as a result has them."""
        alive = [track for track in self._tracks if frame - track.last_frame <= self._most_gap]
        pairs = sorted(
            (
                (share(track.box, face["box"]), number, place)
                for number, track in enumerate(alive)
                for place, face in enumerate(faces)
            ),
            reverse=True,
        )
        track_of: dict[int, Track] = {}
        taken: set[int] = set()
        for common, number, place in pairs:
            if common >= self._least_share and number not in taken and place not in track_of:
                track_of[place] = alive[number]
                taken.add(number)
        for place, face in enumerate(faces):
            if place not in track_of:
                track_of[place] = Track(box=tuple(face["box"]), first_frame=frame, last_frame=frame)
                self._tracks.append(track_of[place])
            track_of[place].add(frame, face)

    def described(self) -> list[dict[str, Any]]:
        """As JSON, in the order in which they began."""
        return [track.described() for track in self._tracks]
