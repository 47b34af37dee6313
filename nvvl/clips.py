"""Where the frames of the clips go in an output tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


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

    @property
    def wanted(self) -> list[int]:
        """The frames still missing, in order."""
        return sorted(self.of_frame)

    def take(self, frame: int) -> list[tuple[int, int]]:
        """The places of a frame that has come; none for one that was not asked for, or came before."""
        return self.of_frame.pop(frame, [])

    def fill(self, frame: int, picture: Tensor, out: Tensor) -> None:
        """Copy a (3, height, width) picture to its places in (clips, 3, frames, height, width)."""
        for clip, place in self.take(frame):
            out[clip, :, place].copy_(picture)

    def check_complete(self) -> None:
        if self.of_frame:
            raise MissingFrames(self.wanted)


def places_of(starts: Sequence[int], frames_per_clip: int) -> Places:
    places: dict[int, list[tuple[int, int]]] = {}
    for clip, start in enumerate(starts):
        for place in range(frames_per_clip):
            places.setdefault(start + place, []).append((clip, place))
    return Places(places)
