"""snuspl/rnb's `video_path_provider` module."""

from collections.abc import Iterator


class VideoPathIterator:
    """Yields paths of videos; upstream's subclasses look for them in their constructor."""

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError
