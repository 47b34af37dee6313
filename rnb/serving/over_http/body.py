"""Reading a request's body, up to a size, and all bodies together up to another."""

from __future__ import annotations

from starlette.requests import Request

from rnb.live.asking import Why
from rnb.serving.refusal import OF_WHY, TOO_LARGE, WRONG_TYPE, Refusal
from rnb.serving.request_log import Note


class Bodies:
    """The bodies of all requests that have not been answered."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._num_bytes = most_bytes, 0

    async def read(self, request: Request, most: int) -> bytes:
        """A body. Raises Refusal where it is larger, compressed, or where there is no room for it."""
        if encoding := request.headers.get("content-encoding"):
            raise Refusal(f"Content-Encoding '{encoding:.40}': send the body as it is", WRONG_TYPE)
        note, chunks = request.state.note, list[bytes]()
        self._check(int(request.headers.get("content-length", 0)), most)
        async for chunk in request.stream():
            self._check(note.num_bytes + len(chunk), most)
            self._num_bytes += len(chunk)
            note.num_bytes += len(chunk)
            if self._num_bytes > self._most_bytes:
                raise Refusal("too many bytes are being sent already (--max-bodies-mb)", OF_WHY[Why.BUSY])
            chunks.append(chunk)
        return b"".join(chunks)

    @staticmethod
    def _check(num_bytes: int, most: int) -> None:
        if num_bytes > most:
            raise Refusal(f"the body is too large; it may have {most} bytes (--max-body-mb)", TOO_LARGE)

    def let_go(self, note: Note) -> None:
        """A request has its answer, or will have none."""
        self._num_bytes -= note.num_bytes
