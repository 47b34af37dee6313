"""Where the frames of the clips go in an output tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Clips = Sequence[Sequence[int]]
"""The frames of each clip, by their index in the video."""


class MissingFrames(Exception):
    """Decoding did not give all frames that the index has: the file is not what its timestamps say."""

    def __init__(self, frames: Sequence[int]) -> None:
        super().__init__(
            f"frame {frames[0]}" if len(frames) == 1 else f"{len(frames)} frames from {frames[0]} on"
        )


@dataclass
class Places:
    """For each frame that is wanted, the (clip, frame of the clip) places that it fills."""

    of_frame: dict[int, list[tuple[int, int]]]
    arrived: set[int] = field(default_factory=set)

    def take(self, frame: int) -> list[tuple[int, int]]:
        """The places of a frame that has come; none for one that was not asked for."""
        self.arrived.add(frame)
        return self.of_frame.get(frame, [])

    def forget(self, frames: Iterable[int]) -> None:
        """These frames have to come again."""
        self.arrived.difference_update(frames)

    def check_complete(self) -> None:
        missing = sorted(self.of_frame.keys() - self.arrived)
        if missing:
            raise MissingFrames(missing)


def places_of(clips: Clips) -> Places:
    """Clips may overlap, and repeat frames."""
    places: dict[int, list[tuple[int, int]]] = {}
    for clip, frames in enumerate(clips):
        for place, frame in enumerate(frames):
            places.setdefault(frame, []).append((clip, place))
    return Places(places)
