"""A client's share of a schedule."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.load.source import ScheduleSource
from rnb.transport.local.fabric import LocalFabric

ARRIVALS_NS = np.arange(10) * 1_000_000
PAYLOADS = ["a.mp4", "b.mp4", "c.mp4"]
PAYLOAD_OF = np.array([0, 1, 2, 2, 1, 0, 0, 0, 1, 2])


def source(number: int, num_clients: int) -> ScheduleSource:
    fabric = LocalFabric()
    return ScheduleSource(
        all_arrivals_ns=fabric.numbers(ARRIVALS_NS),
        payloads=fabric.texts(PAYLOADS),
        payload_of=fabric.numbers(PAYLOAD_OF),
        number=number,
        num_clients=num_clients,
    )


@pytest.mark.parametrize("num_clients", [1, 3, 4])
def test_the_shares_of_all_clients_are_the_schedule(num_clients: int) -> None:
    sent = {}
    for number in range(num_clients):
        share = source(number, num_clients)
        times_ns = share.arrivals_ns
        assert (np.diff(times_ns) > 0).all()
        for request, request_id, time_ns in zip(share, share.ids, times_ns.tolist(), strict=True):
            assert request.id == request_id
            sent[request.id] = (time_ns, request.payload)
    expected = [(int(ARRIVALS_NS[request]), PAYLOADS[PAYLOAD_OF[request]]) for request in range(10)]
    assert [sent[request] for request in range(10)] == expected


def test_a_request_is_whole_and_says_no_more() -> None:
    first = next(iter(source(0, 1)))
    assert (first.segment, first.num_segments, first.parameters) == (0, 1, None)
