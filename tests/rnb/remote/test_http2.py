"""A connection of HTTP/2 to a server whose frames the test writes."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from hpack import Decoder, Encoder

from rnb.remote.deadlines import Deadlines
from rnb.remote.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Http2Connection,
    Stream,
    frame,
    header_block,
)

OURS = [(b":path", b"/x" * 100), (b":authority", b"box:1"), (b"te", b"trailers")]
Frame = tuple[int, int, int, bytes]


class Wire:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.data, self.is_closed = b"", False

    def write(self, data: bytes) -> None:
        self.data += data

    def abort(self) -> None:
        self.is_closed = True

    def frames(self) -> list[Frame]:
        """Those since the last time: kind, flags, stream, payload."""
        data, self.data = self.data.removeprefix(PREFACE), b""
        found: list[Frame] = []
        while data:
            size = int.from_bytes(data[:3], "big")
            found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
            data = data[9 + size :]
        return found


class Peer:
    """Both ends of a connection."""

    def __init__(self, **settings: int) -> None:
        self.begun: list[str] = []
        self.ended: list[Stream] = []
        self.broken: list[tuple[str, str]] = []
        self.connection = Http2Connection(
            header_block(OURS),
            begins=lambda stream: self.begun.append(stream.call),
            ends=self.ended.append,
            breaks=lambda stream, reason: self.broken.append((stream.call, reason)),
        )
        self.wire = Wire()
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]
        self.settle(settings)
        self.wire.frames()
        self.encoder = Encoder()
        self.encoder.header_table_size = 0

    def settle(self, settings: dict[str, int]) -> None:
        names = {"window": INITIAL_WINDOW_SIZE, "largest": MAX_FRAME_SIZE, "most": MAX_CONCURRENT_STREAMS}
        told = b"".join(struct.pack(">HI", names[name], value) for name, value in settings.items())
        self.say(SETTINGS, 0, 0, told)

    def say(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.connection.data_received(frame(kind, flags, stream, payload))

    def headers(self, *headers: tuple[str, str]) -> bytes:
        block: bytes = self.encoder.encode(headers)
        return block

    def answer(self, stream: int, body: bytes) -> None:
        self.say(HEADERS, END_HEADERS, stream, self.headers((":status", "200")))
        self.say(DATA, 0, stream, body)
        self.say(HEADERS, END_HEADERS | END_STREAM, stream, self.headers(("grpc-status", "0")))


def test_a_call_is_headers_and_a_message_and_its_answer_comes_back() -> None:
    peer = Peer()
    for call in "ab":
        peer.connection.call(call, b"hello")
    headers, data, *second = peer.wire.frames()
    assert headers[:3] == (HEADERS, END_HEADERS, 1)
    decoded = dict(Decoder().decode(headers[3], raw=True))
    assert decoded == {b":method": b"POST", b":scheme": b"http", **dict(OURS)}
    assert data == (DATA, END_STREAM, 1, b"\0\0\0\0\x05hello")
    assert [one[2] for one in second] == [3, 3]
    peer.answer(3, b"answer b")
    peer.answer(1, b"answer a")
    assert [(one.call, bytes(one.body), one.headers[b"grpc-status"]) for one in peer.ended] == [
        ("b", b"answer b", b"0"),
        ("a", b"answer a", b"0"),
    ]
    assert peer.begun == ["b", "a"]


def test_frames_may_come_in_pieces_and_headers_in_several_frames() -> None:
    peer = Peer()
    peer.connection.call("a", b"")
    block = peer.headers((":status", "200"), ("grpc-status", "14"), ("grpc-message", "queue%20full"))
    text = frame(HEADERS, END_STREAM, 1, block[:3]) + frame(CONTINUATION, END_HEADERS, 1, block[3:])
    for number in range(len(text)):
        peer.connection.data_received(text[number : number + 1])
    (stream,) = peer.ended
    assert stream.headers[b"grpc-message"] == b"queue%20full"


def test_padding_is_left_out() -> None:
    peer = Peer()
    peer.connection.call("a", b"")
    peer.say(DATA, PADDED, 1, b"\x03body\0\0\0")
    peer.say(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x02" + peer.headers(("x", "y")) + b"\0\0")
    assert bytes(peer.ended[0].body) == b"body"


def test_no_more_is_sent_than_the_server_has_room_for() -> None:
    peer = Peer(window=10, largest=6)
    peer.connection.call("a", b"x" * 15)  # 20 bytes with what stands before a message
    peer.connection.call("b", b"")
    sent = [(one[1], one[2], len(one[3])) for one in peer.wire.frames() if one[0] == DATA]
    assert sent == [(0, 1, 6), (0, 1, 4), (END_STREAM, 3, 5)]
    peer.say(WINDOW_UPDATE, 0, 1, struct.pack(">I", 7))
    assert [len(one[3]) for one in peer.wire.frames()] == [6, 1]
    peer.settle({"window": 100})
    assert [(one[1], len(one[3])) for one in peer.wire.frames() if one[0] == DATA] == [(END_STREAM, 3)]


def test_the_window_of_the_connection_counts_for_all() -> None:
    peer = Peer(window=10**6, largest=10**6)
    for call in "ab":
        peer.connection.call(call, bytes(39_995))
    assert [len(one[3]) for one in peer.wire.frames() if one[0] == DATA] == [40_000, 25_535]
    peer.say(WINDOW_UPDATE, 0, 0, struct.pack(">I", 20_000))
    assert [len(one[3]) for one in peer.wire.frames()] == [14_465]


def test_a_limit_of_streams_leaves_no_room() -> None:
    peer = Peer(most=1)
    assert peer.connection.has_room
    stream = peer.connection.call("a", b"")
    assert not peer.connection.has_room
    peer.connection.cancel(stream)
    assert peer.wire.frames()[-1][:3] == (RST_STREAM, 0, 1)
    assert peer.connection.has_room
    peer.answer(1, b"too late")
    assert (peer.ended, peer.broken) == ([], [])


def test_what_ends_a_call_without_an_answer() -> None:
    peer = Peer()
    for call in "abc":
        peer.connection.call(call, b"")
    peer.say(RST_STREAM, 0, 1, struct.pack(">I", 7))
    peer.say(GOAWAY, 0, 0, struct.pack(">II", 3, 0))
    assert not peer.connection.has_room
    peer.answer(3, b"")
    assert [one.call for one in peer.ended] == ["b"]
    assert peer.broken == [("a", "RST_STREAM 7"), ("c", "the server closes the connection")]


def test_a_connection_that_dies_breaks_its_calls_once() -> None:
    peer = Peer()
    peer.connection.call("a", b"")
    peer.connection.connection_lost(ConnectionResetError("reset"))
    peer.connection.connection_lost(None)
    assert peer.broken == [("a", "the connection was closed before an answer: reset")]


def test_a_ping_is_answered() -> None:
    peer = Peer()
    peer.say(PING, 0, 0, b"12345678")
    assert peer.wire.frames() == [(PING, ACK, 0, b"12345678")]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"SSH-2.0-OpenSSH_9\r\n"])
def test_another_protocol_breaks_all_calls(answer: bytes) -> None:
    broken: list[Any] = []
    connection = Http2Connection(
        b"", begins=broken.append, ends=broken.append, breaks=lambda stream, reason: broken.append(reason)
    )
    wire = Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]
    connection.call("a", b"")
    connection.data_received(answer)
    assert broken == ["the answer is no HTTP/2"]
    assert wire.is_closed


def test_deadlines_end_what_is_open_still_in_order() -> None:
    ended: list[int] = []
    closed = {2, 3}

    async def wait() -> None:
        deadlines = Deadlines[int](20, is_open=lambda one: one not in closed, end=ended.append)
        for number in range(5):
            deadlines.watch(number)
        assert ended == []
        while len(ended) < 3:
            await asyncio.sleep(0.005)
        deadlines.close()

    asyncio.run(asyncio.wait_for(wait(), 20))
    assert ended == [0, 1, 4]
