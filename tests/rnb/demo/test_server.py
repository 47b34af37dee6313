"""What the page asks of a server, and what it says when there is no answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rnb.demo.metrics import parse
from rnb.demo.server import NoAnswer, Server
from tests.support.images import encode, picture
from tests.support.stand_in_server import MODEL, STEP, StandIn, find_rectangle, stand_in_server


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with stand_in_server() as served:
        yield served


@pytest.fixture
def server(stand_in: StandIn) -> Server:
    return Server(url=stand_in.url)


def test_both_ways_give_the_result(server: Server, stand_in: StandIn) -> None:
    data = encode(picture())
    assert server.predict(data, "image/jpeg") == find_rectangle(data)
    parameters = {"sequence_id": 5, "sequence_start": True, "sequence_end": False}
    assert server.infer(MODEL, data, parameters) == find_rectangle(data)
    assert stand_in.parameters[-1] == parameters


def test_it_tells_of_itself(server: Server) -> None:
    assert server.is_ready()
    assert server.model() == MODEL
    assert list(server.statistics()) == [MODEL, STEP]
    assert "rnb_queue_depth" in parse(server.metrics())


def test_a_refusal_is_its_status_and_its_reason(server: Server) -> None:
    with pytest.raises(NoAnswer, match=r"^400: the image cannot be decoded$"):
        server.predict(b"text", "image/jpeg")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[", "http://localhost:99999"])
def test_nobody_there_is_one_line(url: str) -> None:
    server = Server(url=url)
    assert not server.is_ready()
    with pytest.raises(NoAnswer, match="does not answer") as caught:
        server.metrics()
    assert "\n" not in str(caught.value)
