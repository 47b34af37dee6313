"""Requests and answers of the protocol's HTTP, as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from rnb.remote.address import Address
from rnb.remote.datatypes import unpack
from rnb.remote.inputs import Input
from rnb.remote.payloads import Payloads

JOINED_BYTES = 1 << 16
"""A smaller request is one piece, which is one system call."""


class HttpRequests:
    """Makes requests; all but ids and parameters is put together before the start."""

    def __init__(
        self,
        *,
        address: Address,
        model: str,
        inputs: Sequence[Input],
        outputs: Sequence[str],
        payloads: Payloads,
        is_binary: bool,
    ) -> None:
        self._head = (
            f"POST {address.path}/v2/models/{quote(model)}/infer HTTP/1.1\r\nHost: {address.netloc}\r\n"
        ).encode()
        self._inputs, self._payloads, self._is_binary = inputs, payloads, is_binary
        asked = {"parameters": {"binary_data": True}} if is_binary else {}
        self._outputs = json.dumps([{"name": name, **asked} for name in outputs])
        self._made = {} if payloads.depends_on_file else self._variants()

    def _variants(self) -> dict[int, tuple[bytes, bytes]]:
        return {number: self._parts(number, "") for number in range(self._payloads.num_variants)}

    def _parts(self, number: int, path: str) -> tuple[bytes, bytes]:
        """The end of the JSON, and what follows it."""
        contents = self._payloads.of(number, path)
        told = [
            {"name": one.name, "shape": one.shape, "datatype": one.datatype, **self._content(one, content)}
            for one, content in zip(self._inputs, contents, strict=True)
        ]
        text = f',"inputs":{json.dumps(told)},"outputs":{self._outputs}}}'
        return text.encode(), b"".join(contents) if self._is_binary else b""

    def _content(self, one: Input, content: bytes) -> Mapping[str, Any]:
        if self._is_binary:
            return {"parameters": {"binary_data_size": len(content)}}
        return {"data": unpack(one.datatype, content)}

    def make(self, number: int, path: str, parameters: Mapping[str, Any] | None) -> list[bytes]:
        """The pieces of a request."""
        end, data = self._made.get(number % self._payloads.num_variants) or self._parts(number, path)
        told = f',"parameters":{json.dumps(dict(parameters))}' if parameters else ""
        begin = b'{"id":"%d"%b' % (number, told.encode())
        size = len(begin) + len(end)
        kind = b"Content-Type: application/json\r\n"
        if self._is_binary:
            kind = b"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n" % size
        head = b"%b%bContent-Length: %d\r\n\r\n%b%b" % (self._head, kind, size + len(data), begin, end)
        return [head + data] if len(data) < JOINED_BYTES else [head, data]


class NotHttp(Exception):
    """The bytes are no answer of HTTP."""


@dataclass
class Reader:
    """Puts an answer together from pieces of any size; one Reader for each."""

    status: int = 0
    """0: its head is not complete."""
    reason: str = ""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    """By their names in small letters."""
    _data: bytearray = field(default_factory=bytearray)
    _length: int | None = None
    """Of the body; None: it is not told."""
    _chunks: bytearray | None = None
    """What is read of a body that comes in chunks."""

    def feed(self, data: bytes) -> bool:
        """Take a piece; whether the answer is complete. Raises NotHttp."""
        self._data += data
        if not self.status and not self._read_head():
            return False
        if self._chunks is not None:
            return self._read_chunks()
        return self._length is not None and len(self._data) >= self._length

    def _read_head(self) -> bool:
        if not self._data.startswith(b"HTTP/1."[: len(self._data)]):
            raise NotHttp
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = bytes(self._data[:end]).split(b"\r\n")
        del self._data[: end + 4]
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
        }
        try:
            self.status, self.reason = int(first[9:12]), first[13:].decode(errors="replace")
            self._is_1_0 = first.startswith(b"HTTP/1.0")
            if b"chunked" in self.headers.get(b"transfer-encoding", b"").lower():
                self._chunks = bytearray()
            elif b"content-length" in self.headers:
                self._length = int(self.headers[b"content-length"])
        except ValueError:
            raise NotHttp from None
        return True

    def _read_chunks(self) -> bool:
        assert self._chunks is not None
        while (end := self._data.find(b"\r\n")) >= 0:
            try:
                size = int(bytes(self._data[:end]).partition(b";")[0], 16)
            except ValueError:
                raise NotHttp from None
            if len(self._data) < end + 2 + size + 2:
                return False
            self._chunks += self._data[end + 2 : end + 2 + size]
            del self._data[: end + 2 + size + 2]
            if not size:
                return True
        return False

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body."""
        return self.status > 0 and self._length is None and self._chunks is None

    @property
    def keeps_connection(self) -> bool:
        told = self.headers.get(b"connection", b"").lower()
        return b"close" not in told and not (self._is_1_0 and b"keep-alive" not in told)

    @property
    def body(self) -> bytes:
        return bytes(self._data[: self._length] if self._chunks is None else self._chunks)

    @property
    def json_bytes(self) -> int | None:
        """How much of the body is JSON, where tensors follow."""
        told = self.headers.get(b"inference-header-content-length")
        return None if told is None else int(told)
