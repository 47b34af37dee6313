"""POST /predict: encoded bytes in, JSON out."""

from __future__ import annotations

import socket
import struct
import time
import zlib
from collections.abc import Iterator

import pytest

from tests.support.serving import ANSWER_S, Served, serving

PNG = {"Content-Type": "image/png"}


def png(width: int, height: int) -> bytes:
    """The head of one; whoever decodes it finds no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.fixture(scope="module")
def images() -> Iterator[Served]:
    with serving(interface={"extensions": [".jpg", ".png"]}, max_body_mb=1, max_pixels=1_000_000) as server:
        yield server


def test_an_image(images: Served) -> None:
    reply = images.ask("POST", "/predict", png(10, 10), PNG)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    told = reply.json()
    assert (told["size"], told["suffix"]) == (len(png(10, 10)), ".png")


def test_the_type_may_have_parameters(images: Served) -> None:
    assert images.ask("POST", "/predict", png(1, 1), {"Content-Type": "IMAGE/PNG; q=1"}).status == 200


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "video/mp4"}])
def test_a_wrong_type(images: Served, headers: dict[str, str]) -> None:
    reply = images.ask("POST", "/predict", png(1, 1), headers)
    assert reply.status == 415
    assert "image/jpeg, image/png" in reply.error


@pytest.mark.parametrize("body", [b"", b"no image", png(9, 9)[:20], b"\xff\xd8\xff\xe0\x00\x10JFIF"])
def test_what_is_no_image(images: Served, body: bytes) -> None:
    reply = images.ask("POST", "/predict", body, PNG)
    assert reply.status == 400
    assert reply.error


def test_too_large_a_body(images: Served) -> None:
    reply = images.ask("POST", "/predict", png(1, 1) + bytes(1 << 20), PNG)
    assert (reply.status, "--max-body-mb" in reply.error) == (413, True)


def test_more_than_all_bodies_together_may_have() -> None:
    with serving(max_body_mb=1, max_bodies_mb=1.5, max_pixels=1) as server:
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=ANSWER_S) as waiting:
            head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
            waiting.sendall(head + b"content-length: 1000000\r\n\r\n" + png(1, 1) + bytes(900_000))
            while (status := server.ask("POST", "/predict", png(1, 1) + bytes(900_000), PNG).status) == 200:
                time.sleep(0.05)
            assert status == 503
            assert server.ask("POST", "/predict", png(1, 1), PNG).status == 200
        while server.ask("POST", "/predict", png(1, 1) + bytes(900_000), PNG).status == 503:
            time.sleep(0.05)  # until the server has seen that the other one is gone
        for _ in range(5):
            assert server.ask("POST", "/predict", png(1, 1) + bytes(900_000), PNG).status == 200


def test_too_large_a_body_of_unknown_length(images: Served) -> None:
    def parts() -> Iterator[bytes]:
        yield png(1, 1)
        for _ in range(20):
            yield bytes(1 << 16)

    reply = images.ask("POST", "/predict", parts(), PNG)  # type: ignore[arg-type]
    assert reply.status == 413


def test_an_image_of_too_many_pixels_is_not_decoded(images: Served) -> None:
    reply = images.ask("POST", "/predict", png(100_000, 100_000), PNG)
    assert (reply.status, "100000 × 100000" in reply.error) == (413, True)


def test_compressed_bodies_are_refused(images: Served) -> None:
    assert images.ask("POST", "/predict", b"x", {**PNG, "Content-Encoding": "gzip"}).status == 415


def test_a_video_where_the_pipeline_takes_videos(served: Served) -> None:
    reply = served.ask("POST", "/predict", b"\0\0\0\x18ftypmp42", {"Content-Type": "video/mp4"})
    assert reply.json()["suffix"] == ".mp4"


def test_a_class_as_json(classifying: Served) -> None:
    reply = classifying.ask("POST", "/predict", png(1, 1), PNG)
    assert reply.json() == {"label": 3, "class": "name3", "score": 0.5}


def test_a_sequence(stateful: Served) -> None:
    headers = {"Content-Type": "image/png"}
    assert stateful.ask("POST", "/predict", png(1, 1), headers).status == 400
    for before, more in enumerate(("&sequence_start=true", "", "&sequence_end=true")):
        reply = stateful.ask("POST", f"/predict?sequence_id=a{more}", png(1, 1), headers)
        assert reply.json() == {"before": before, "sequence": "a"}
    assert stateful.ask("POST", "/predict?sequence_id=a", png(1, 1), headers).status == 400


def test_it_is_described(images: Served) -> None:
    told = images.ask("GET", "/openapi.json").json()
    post = told["paths"]["/predict"]["post"]
    assert list(post["requestBody"]["content"]) == ["image/jpeg", "image/png"]
    assert {"200", "400", "413", "415", "503", "504"} <= set(post["responses"])
    for path, methods in told["paths"].items():
        for method in methods:
            assert images.ask(method.upper(), path).status not in (404, 405), path


def test_the_page_needs_nothing_from_elsewhere(images: Served) -> None:
    page = images.ask("GET", "/docs").body.decode()
    assert "/predict" in page
    assert "image/png" in page
    assert "<script" not in page
    assert "https://" not in page
