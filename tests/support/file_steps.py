"""Steps and requests for runs whose nodes do not all have the same files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rnb.contract import Batch, RequestError, Step


class ReadsFile(Step):
    """Gives the name and the content of the file of each request."""

    def __call__(self, batch: Batch) -> Batch:
        (request,) = batch.requests
        try:
            content = Path(request.payload).read_text()
        except OSError as error:
            raise RequestError(f"{request.payload}: {error.strerror}") from None
        return batch.give(payloads=[[request.payload, content]])


class OneIsMissing:
    """Three files, of which there are two."""

    def __init__(self, root: str) -> None:
        self._root = root

    def __iter__(self) -> Iterator[str]:
        return (f"{self._root}/{name}" for name in ("0.mp4", "missing.mp4", "2.mp4"))
