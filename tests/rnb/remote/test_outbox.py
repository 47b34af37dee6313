"""What is sent when, and what is noted of each request; the server is only imagined."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.remote import outbox as module
from rnb.remote.outbox import Outbox, ServerGone
from rnb.transport.fabric import FAILED, FINISHED, REFUSED, UNFINISHED, Stopped
from rnb.transport.local.request_table import RequestTable
from rnb.transport.local.stop import StopFlag

ANSWERED, DONE = Event(EventKind.ANSWERED, 0), Event(EventKind.FINISHED, 0)


class Wire:
    """Keeps what was transmitted."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def transmit(self, request: Request) -> None:
        self.requests.append(request)

    def close(self) -> None:
        pass

    @property
    def ids(self) -> list[int]:
        return [request.id for request in self.requests]


def made(in_flight: int = 10) -> tuple[Outbox, Wire, RequestTable]:
    table = RequestTable(num_requests=10, events=(DUE, SENT, ANSWERED, DONE))
    outbox, wire = Outbox(table, place="http://box:1", in_flight=in_flight), Wire()
    outbox.transport = wire
    return outbox, wire, table


def of_sequence(number: int, sequence: int) -> Request:
    return Request(number, parameters={"sequence_id": sequence})


def test_requests_go_out_without_waiting_for_answers() -> None:
    outbox, wire, table = made()
    for number in range(3):
        outbox.post(Request(number))
    assert wire.ids == [0, 1, 2]
    outbox.begins(wire.requests[1])
    outbox.finish(wire.requests[1], lambda: ["cat"])
    assert table.outcomes["status"].tolist()[:3] == [UNFINISHED, FINISHED, UNFINISHED]
    assert table.results() == {1: ["cat"]}
    assert 0 < table.column(SENT)[1] <= table.column(ANSWERED)[1] <= table.column(DONE)[1]


def test_beyond_the_most_in_flight_requests_are_sent_late() -> None:
    outbox, wire, table = made(in_flight=2)
    for number in range(4):
        outbox.post(Request(number))
    assert wire.ids == [0, 1]
    assert table.column(SENT)[2] == 0
    outbox.finish(wire.requests[0])
    outbox.fail(wire.requests[1], "no")
    assert wire.ids == [0, 1, 2, 3]
    assert table.column(SENT)[2] >= table.column(DONE)[0]


def test_of_a_sequence_one_is_under_way_and_the_wait_is_the_servers() -> None:
    outbox, wire, table = made()
    requests = [of_sequence(0, 1), of_sequence(1, 2), of_sequence(2, 1), of_sequence(3, 1), of_sequence(4, 2)]
    for request in requests:
        outbox.post(request)
    assert wire.ids == [0, 1]
    assert (table.column(SENT)[:5] > 0).all()
    sent = table.column(SENT)[2]
    outbox.finish(requests[0])
    outbox.lose(requests[1], "it died")
    assert wire.ids == [0, 1, 2, 4]
    assert table.column(SENT)[2] == sent
    for request in (requests[2], requests[3], requests[4]):
        outbox.finish(request)
    assert wire.ids == [0, 1, 2, 4, 3]
    outbox.post(of_sequence(5, 1))
    assert wire.ids[-1] == 5


def test_a_refusal_is_named_so_and_a_damaged_answer_has_failed() -> None:
    outbox, wire, table = made()
    for number in range(3):
        outbox.post(Request(number))

    def damaged() -> Any:
        raise ValueError("no output")

    outbox.fail(wire.requests[0], "503: busy", is_refused=True)
    outbox.fail(wire.requests[1], "500: broken")
    outbox.finish(wire.requests[2], damaged)
    assert table.outcomes["status"].tolist()[:3] == [REFUSED, FAILED, FAILED]
    assert table.outcomes["reason"].tolist()[:3] == [
        b"refused by the server: 503: busy",
        b"500: broken",
        b"answer: no output",
    ]


def test_a_server_is_gone_when_nobody_was_reached_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, wire, _ = made()
    stop, now = StopFlag(), [1.0]
    monkeypatch.setattr(module, "now_ns", lambda: int(now[0] * 1e9))
    for number in range(3):
        outbox.post(Request(number))
    outbox.lose(wire.requests[0], "connection refused")
    now[0] += 4.9
    outbox.check(stop)
    outbox.finish(wire.requests[1])  # it is there after all
    outbox.lose(wire.requests[2], "connection refused")
    now[0] += 4.9
    outbox.check(stop)
    now[0] += 0.2
    with pytest.raises(ServerGone, match=r"^http://box:1 cannot be reached for 5 s: connection refused$"):
        outbox.check(stop)


def test_a_callback_that_fails_ends_the_client() -> None:
    outbox, _, _ = made()
    outbox.post(Request(0))

    async def play() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: outbox.note_bug(context.get("exception")))
        loop.call_soon(lambda: [][0])
        await outbox.wait_until_empty(StopFlag())

    with pytest.raises(IndexError):
        asyncio.run(asyncio.wait_for(play(), 20))


def test_the_end_waits_for_all_answers_but_not_for_a_run_that_is_stopped() -> None:
    outbox, wire, _ = made()
    outbox.post(Request(0))
    stop = StopFlag()

    async def wait() -> None:
        asyncio.get_running_loop().call_later(0.01, outbox.finish, wire.requests[0])
        await outbox.wait_until_empty(stop)

    asyncio.run(wait())
    outbox.post(Request(1))
    stop.raise_flag(Termination.INTERRUPTED)
    with pytest.raises(Stopped):
        asyncio.run(outbox.wait_until_empty(stop))
