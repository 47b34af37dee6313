"""The errors that a video file can cause."""

from __future__ import annotations


class DamagedPacket(Exception):
    """A decoder refuses a packet. It is caught where it is known whether the packet matters."""


class EngineError(Exception):
    """The driver of a GPU's video engine refused a session or a packet."""


class UnsupportedVideo(Exception):
    """A GPU's video engine does not decode this kind of video."""


class VideoError(ValueError):
    """A video cannot be used. The message is one line: the file, then the reason."""

    def __init__(self, filename: str, reason: str) -> None:
        super().__init__(f"{filename}: {' '.join(reason.split())}")
        self.filename = filename
        self.reason = reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        """Errors cross process borders, so both parts travel."""
        return VideoError, (self.filename, self.reason)
