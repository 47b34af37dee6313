"""A client's end of an HTTP/2 connection, as far as gRPC's unary calls need one (RFC 9113, RFC 7541).

grpcio takes several times as much of a core for a call, so that it, and not the server, would be the limit.
The server is told to keep no table of headers: then the same bytes are always the same headers, and each kind
of answer is decoded once.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpack import Decoder, HPACKError

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
CANCEL = 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WIDEST, DEFAULT_WINDOW, DEFAULT_FRAME = 2**31 - 1, 65_535, 16_384
MOST_UNSAID = 2**28
"""So many bytes are received before the server is told that there is room for them again."""
MOST_KNOWN = 1000
"""Blocks of headers whose meaning is kept; errors may each have a text of their own."""
STATIC = {b":authority": 1, b":path": 4}
"""Places of names in HPACK's static table, of those that have a value of ours."""
POST, SCHEME_HTTP = b"\x83", b"\x86"


class NotHttp2(Exception):
    """What answers speaks something else."""


@dataclass(eq=False)
class Stream:
    """One call."""

    call: Any
    """Whatever the caller knows it by; None once nobody waits for it."""
    number: int = 0
    window: int = 0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    headers: dict[bytes, bytes] = field(default_factory=dict)
    """Of the answer, those at its end too."""
    body: bytearray = field(default_factory=bytearray)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">IBBI", len(payload), kind, flags, stream)[1:] + payload


def _settings(values: Mapping[int, int]) -> bytes:
    return b"".join(struct.pack(">HI", key, value) for key, value in values.items())


def header_block(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Of a POST, as HPACK has them; each is a literal that no table keeps."""
    block = POST + SCHEME_HTTP
    for name, value in headers:
        place = STATIC.get(name)
        block += bytes([place]) if place else b"\0" + _length(name) + name
        block += _length(value) + value
    return block


def _length(text: bytes) -> bytes:
    """Of a text without Huffman's code: a number with a prefix of 7 bits."""
    if len(text) < 127:
        return bytes([len(text)])
    rest, found = len(text) - 127, bytearray([127])
    while rest >= 128:
        found.append(rest % 128 + 128)
        rest //= 128
    return bytes([*found, rest])


class Http2Connection(asyncio.Protocol):
    """Calls share it.

    `begins` is told of an answer's first frame, `ends` of its last, `breaks` of a call without an answer.
    """

    def __init__(
        self,
        block: bytes,
        *,
        begins: Callable[[Stream], None],
        ends: Callable[[Stream], None],
        breaks: Callable[[Stream, str], None],
    ) -> None:
        """`block`: the headers of each call."""
        self._block, self._begins, self._ends, self._breaks = block, begins, ends, breaks
        self._transport: Any = None
        self._received, self._unsaid = bytearray(), 0
        self._streams: dict[int, Stream] = {}
        self._next_number = 1
        self._window = self._initial_window = DEFAULT_WINDOW
        self._largest_frame, self._most_streams = DEFAULT_FRAME, WIDEST
        self._blocked: deque[Stream] = deque()
        """Those with more to send than there is room for."""
        self._decoder = Decoder()
        self._decoder.max_allowed_table_size = self._decoder.header_table_size = 0
        self._known: dict[bytes, dict[bytes, bytes]] = {}
        self._unfinished: tuple[int, int, bytes] | None = None
        """Number, flags and begin of a block of headers that goes on."""
        self._has_settings = False
        self.is_open = False

    @property
    def has_room(self) -> bool:
        """Whether one more call may go out."""
        return self.is_open and len(self._streams) < self._most_streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_open = transport, True
        asked = _settings({HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0, INITIAL_WINDOW_SIZE: WIDEST})
        widened = struct.pack(">I", WIDEST - DEFAULT_WINDOW)
        self._transport.write(PREFACE + frame(SETTINGS, 0, 0, asked) + frame(WINDOW_UPDATE, 0, 0, widened))

    def call(self, call: Any, message: bytes) -> Stream:
        """Send a message of gRPC."""
        stream = Stream(call, number=self._next_number, window=self._initial_window)
        self._next_number += 2
        self._streams[stream.number] = stream
        start = frame(HEADERS, END_HEADERS, stream.number, self._block)
        body = b"\0" + len(message).to_bytes(4, "big") + message
        room = min(self._window, stream.window, self._largest_frame)
        if len(body) <= room and not self._blocked:
            self._window -= len(body)
            stream.window -= len(body)
            self._transport.write(start + frame(DATA, END_STREAM, stream.number, body))
        else:
            self._transport.write(start)
            stream.unsent = memoryview(body)
            self._blocked.append(stream)
            self._send_blocked()
        return stream

    def _send_blocked(self) -> None:
        """As much as there is room for; a stream without room of its own lets the others go first."""
        for _ in range(len(self._blocked)):
            stream = self._blocked.popleft()
            while stream.unsent and (size := min(self._window, stream.window, self._largest_frame)) > 0:
                piece, stream.unsent = stream.unsent[:size], stream.unsent[size:]
                self._window -= len(piece)
                stream.window -= len(piece)
                flags = 0 if stream.unsent else END_STREAM
                self._transport.write(frame(DATA, flags, stream.number, bytes(piece)))
            if stream.unsent and stream.number in self._streams:
                self._blocked.append(stream)

    def cancel(self, stream: Stream) -> None:
        """Nobody waits for it any more."""
        stream.call, stream.unsent = None, memoryview(b"")
        if self._streams.pop(stream.number, None) and self.is_open:
            self._transport.write(frame(RST_STREAM, 0, stream.number, struct.pack(">I", CANCEL)))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        place = 0
        try:
            while len(received) - place >= 9:
                end = place + 9 + int.from_bytes(received[place : place + 3], "big")
                kind, flags = received[place + 3], received[place + 4]
                if not self._has_settings and kind != SETTINGS:
                    raise NotHttp2
                if len(received) < end:
                    break
                number = int.from_bytes(received[place + 5 : place + 9], "big") & WIDEST
                self._take(kind, flags, number, bytes(received[place + 9 : end]))
                place = end
        except (NotHttp2, HPACKError, struct.error, IndexError):
            self._break("the answer is no HTTP/2")
        del received[:place]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == DATA:
            self._take_data(flags, number, payload)
        elif kind == HEADERS:
            begin = (flags & PADDED > 0) + (5 if flags & PRIORITY else 0)
            end = len(payload) - (payload[0] if flags & PADDED else 0)
            self._take_headers(flags, number, payload[begin:end])
        elif kind == CONTINUATION and self._unfinished is not None:
            number, first_flags, block = self._unfinished
            self._take_headers(first_flags | flags, number, block + payload)
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(payload)
        elif kind == WINDOW_UPDATE:
            (more,) = struct.unpack(">I", payload)
            if number == 0:
                self._window += more
            elif number in self._streams:
                self._streams[number].window += more
            self._send_blocked()
        elif kind == PING and not flags & ACK:
            self._transport.write(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM and number in self._streams:
            self._breaks(self._streams.pop(number), f"RST_STREAM {int.from_bytes(payload, 'big')}")
        elif kind == GOAWAY:
            self._go_away(int.from_bytes(payload[:4], "big") & WIDEST)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        self._unsaid += len(payload)
        if self._unsaid > MOST_UNSAID:
            self._transport.write(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._unsaid)))
            self._unsaid = 0
        if stream := self._streams.get(number):
            stream.body += payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
            if flags & END_STREAM:
                self._end(stream)

    def _take_headers(self, flags: int, number: int, block: bytes) -> None:
        if not flags & END_HEADERS:
            self._unfinished = number, flags, block
            return
        self._unfinished = None
        headers = self._known.get(block)
        if headers is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            headers = dict(self._decoder.decode(block, raw=True))
            self._known[block] = headers
        stream = self._streams.get(number)
        if stream is None:
            return
        if not stream.headers:
            self._begins(stream)
        stream.headers |= headers
        if flags & END_STREAM:
            self._end(stream)

    def _take_settings(self, payload: bytes) -> None:
        self._has_settings = True
        for key, value in struct.iter_unpack(">HI", payload):
            if key == INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._initial_window
                self._initial_window = value
            elif key == MAX_FRAME_SIZE:
                self._largest_frame = value
            elif key == MAX_CONCURRENT_STREAMS:
                self._most_streams = value
        self._transport.write(frame(SETTINGS, ACK, 0))
        self._send_blocked()

    def _end(self, stream: Stream) -> None:
        self._streams.pop(stream.number).unsent = memoryview(b"")
        self._ends(stream)

    def _go_away(self, last: int) -> None:
        """No new call may come; the answers of those up to `last` still do."""
        self.is_open = False
        for number in [one for one in self._streams if one > last]:
            self._breaks(self._streams.pop(number), "the server closes the connection")

    def _break(self, reason: str) -> None:
        self.is_open = False
        streams, self._streams = list(self._streams.values()), {}
        self.close()
        for stream in streams:
            self._breaks(stream, reason)

    def connection_lost(self, error: Exception | None) -> None:
        self._break(f"the connection was closed before an answer{f': {error}' if error else ''}")
