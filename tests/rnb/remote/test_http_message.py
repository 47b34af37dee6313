"""Requests and answers of HTTP as bytes."""

from __future__ import annotations

import json

import pytest

from rnb.remote.address import Address
from rnb.remote.datatypes import unpack
from rnb.remote.http_message import HttpRequests, NotHttp, Reader
from rnb.remote.inputs import Input
from rnb.remote.payloads import Payloads

INPUTS = [
    Input(name="A", datatype="FP32", shape=(1, 2), how="random"),
    Input(name="B", datatype="BYTES", shape=(1,), how="random"),
]
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\nhello"


def made(*, is_binary: bool) -> tuple[dict[bytes, bytes], bytes, HttpRequests, Payloads]:
    """Headers and body of request 7, who made it, and of what."""
    payloads = Payloads(INPUTS, seed=0, data="")
    requests = HttpRequests(
        address=Address("http", "box", 80, "/x"),
        model="a/b",
        inputs=INPUTS,
        outputs=["OUT"],
        payloads=payloads,
        is_binary=is_binary,
    )
    head, _, body = b"".join(requests.make(7, "", {"sequence_id": 3, "sequence_start": True})).partition(
        b"\r\n\r\n"
    )
    first, *lines = head.split(b"\r\n")
    assert first == b"POST /x/v2/models/a/b/infer HTTP/1.1"
    headers = {name: value for name, _, value in (line.partition(b": ") for line in lines)}
    assert int(headers[b"Content-Length"]) == len(body)
    return headers, body, requests, payloads


def test_tensors_follow_the_json_as_they_are() -> None:
    headers, body, requests, payloads = made(is_binary=True)
    size = int(headers[b"Inference-Header-Content-Length"])
    told, contents = json.loads(body[:size]), payloads.of(7, "")
    assert told["id"] == "7"
    assert told["parameters"] == {"sequence_id": 3, "sequence_start": True}
    assert [one["parameters"]["binary_data_size"] for one in told["inputs"]] == [8, 20]
    assert [(one["name"], one["shape"], one["datatype"]) for one in told["inputs"]] == [
        ("A", [1, 2], "FP32"),
        ("B", [1], "BYTES"),
    ]
    assert told["outputs"] == [{"name": "OUT", "parameters": {"binary_data": True}}]
    assert body[size:] == b"".join(contents)
    assert b'"parameters":' not in b"".join(requests.make(8, "", None)).partition(b'"inputs"')[0]


def test_a_server_without_that_extension_gets_all_as_json() -> None:
    headers, body, _, payloads = made(is_binary=False)
    assert headers[b"Content-Type"] == b"application/json"
    told, contents = json.loads(body), payloads.of(7, "")
    assert [one["data"] for one in told["inputs"]] == [
        unpack("FP32", contents[0]),
        unpack("BYTES", contents[1]),
    ]
    assert told["outputs"] == [{"name": "OUT"}]


def test_a_large_request_is_not_copied_into_one_piece() -> None:
    large = [Input(name="A", datatype="UINT8", shape=(100_000,), how="zeros")]
    requests = HttpRequests(
        address=Address("http", "box", 80),
        model="m",
        inputs=large,
        outputs=[],
        payloads=Payloads(large, seed=0, data=""),
        is_binary=True,
    )
    assert [len(piece) for piece in requests.make(0, "", None)][1:] == [100_000]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
@pytest.mark.parametrize(("answer", "status"), [(PLAIN, 200), (CHUNKED, 200), (UNTIL_CLOSE, 404)])
def test_an_answer_is_read_from_pieces_of_any_size(answer: bytes, status: int, step: int) -> None:
    reader = Reader()
    ends = [reader.feed(answer[begin : begin + step]) for begin in range(0, len(answer), step)]
    assert ends == [False] * (len(ends) - 1) + [answer is not UNTIL_CLOSE]
    assert (reader.status, reader.body) == (status, b"hello")
    assert reader.ends_with_connection == reader.ends_with_connection is (answer is UNTIL_CLOSE)
    assert reader.keeps_connection is (answer is not UNTIL_CLOSE)


def test_headers_go_by_any_case() -> None:
    reader = Reader()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: Close\r\nINFERENCE-"
    head += b"Header-Content-Length:1\r\n\r\n"
    assert reader.feed(head + b"ab")
    assert (reader.json_bytes, reader.keeps_connection) == (1, False)


@pytest.mark.parametrize("answer", [b"\0\0\x12\x04", b"SSH-2.0\r\n", b"HTTP/1.1 x\r\n\r\n"])
def test_what_is_no_http_is_noticed_at_once(answer: bytes) -> None:
    with pytest.raises(NotHttp):
        Reader().feed(answer)
