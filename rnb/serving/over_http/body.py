"""Reading a request's body, up to a size."""

from __future__ import annotations

from starlette.requests import Request

from rnb.serving.refusal import TOO_LARGE, WRONG_TYPE, Refusal


async def read_body(request: Request, most: int) -> bytes:
    """Raises Refusal for a body that is larger, or compressed."""
    if encoding := request.headers.get("content-encoding"):
        raise Refusal(f"Content-Encoding '{encoding:.40}': send the body as it is", WRONG_TYPE)
    too_large = Refusal(f"the body is too large; it may have {most} bytes (--max-body-mb)", TOO_LARGE)
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    chunks, size = list[bytes](), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)
