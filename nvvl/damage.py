"""Which frames damage may have changed.

Decoders do not fail at a damaged packet: they make up what is missing, and whatever refers to that is wrong
as well, up to the next keyframe.
"""

from __future__ import annotations

from nvvl.clips import Places
from nvvl.index import VideoIndex


class Damage:
    """What is known of the damage in one file while some of its frames are decoded. Not all is known before
    they have come: a frame may refer to one that is displayed after it.

    Args:
        conceal: let frames pass that damage may have changed, and count them.
    """

    def __init__(self, index: VideoIndex, *, conceal: bool = False) -> None:
        self._index, self._conceal = index, conceal
        self._packets = set(index.damage)

    def found(self, packet: int | None) -> None:
        """This packet cannot be decoded, or its frame is made up in part; None: nobody knows which one."""
        self._packets.add(0 if packet is None else packet)

    def settle(self, places: Places) -> int:
        """Take back the frames that damage may have changed, once all have come.

        Returns:
            How many of them may pass.
        """
        suspects = [frame for frame in places.of_frame if self.is_suspect(frame)]
        if self._conceal:
            return len(suspects)
        places.forget(suspects)
        return 0

    def is_suspect(self, frame: int) -> bool:
        """Whether damage is in the frame or what it may refer to, or has made it open which frame it is."""
        index = self._index
        if frame >= index.num_sure:
            return True
        if index.counted or not self._packets:
            return False
        packet, start = index.packet_of_frame[frame], index.start_of(frame)
        return any(self._reaches(damaged, packet) for damaged in self._packets if damaged >= start)

    def _reaches(self, damaged: int, packet: int) -> bool:
        return damaged == packet or (damaged < packet and not self._index.unreferenced[damaged])
