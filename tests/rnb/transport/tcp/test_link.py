"""Frames arrive whole and in order, and whoever waits at a cut connection hears of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rnb.contract.termination import Termination
from rnb.transport.fabric import Stopped
from rnb.transport.local.stop import StopFlag
from rnb.transport.tcp.connection import Cut
from rnb.transport.tcp.handshake import accept, connect, listen
from rnb.transport.tcp.link import Head, Kind, Link

TOKEN = b"t" * 32


@pytest.fixture
def stop() -> StopFlag:
    return StopFlag()


@pytest.fixture
def links(stop: StopFlag) -> Iterator[tuple[Link, Link]]:
    with listen("127.0.0.1") as listening, ThreadPoolExecutor(1) as thread:
        accepted = thread.submit(accept, listening, TOKEN, stop)
        ours = Link(connect(listening.getsockname(), TOKEN, name=1), stop)
        theirs = Link(accepted.result()[0], stop)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_frame_arrives_as_it_was_sent(links: tuple[Link, Link]) -> None:
    ours, theirs = links
    sent = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8)
    parts = [
        sent[:1].data,
        sent[1:1].data,
        sent[1:2_000_000].data,
        sent[2_000_000:].data,
    ]
    sending = threading.Thread(target=ours.send, args=(Kind.MESSAGE, 65_535, -1, b"meta", parts))
    sending.start()
    assert theirs.receive_head() == Head(Kind.MESSAGE, 65_535, -1, 4, len(sent))
    assert theirs.receive(4) == b"meta"
    received = np.zeros_like(sent)
    theirs.receive_into(received.data)
    sending.join()
    assert np.array_equal(received, sent)


def test_frames_of_many_threads_do_not_mix(links: tuple[Link, Link]) -> None:
    ours, theirs = links

    def send(channel: int) -> None:
        for number in range(200):
            ours.send(Kind.MESSAGE, channel, number, buffers=[memoryview(bytes([channel]) * 5000)] * 3)

    threads = [threading.Thread(target=send, args=(channel,)) for channel in range(4)]
    for thread in threads:
        thread.start()
    next_number = [0] * 4
    for _ in range(800):
        head = theirs.receive_head()
        assert head.number == next_number[head.channel]
        next_number[head.channel] += 1
        assert theirs.receive(head.num_bytes) == bytes([head.channel]) * 15_000
    for thread in threads:
        thread.join()


def test_a_cut_connection_is_told_on_both_sides(links: tuple[Link, Link]) -> None:
    ours, theirs = links
    theirs.close()
    with pytest.raises(Cut):
        ours.receive_head()
    with pytest.raises(Cut):
        send_often(ours)


def send_often(link: Link) -> None:
    """The kernel takes what is sent first, and hears only then that nobody is there."""
    for _ in range(100):
        link.send(Kind.PING, meta=b"x" * 100_000)


def test_who_waits_is_let_go_when_the_run_ends(links: tuple[Link, Link], stop: StopFlag) -> None:
    ours, theirs = links
    stop.raise_flag(Termination.INTERRUPTED)
    with pytest.raises(Stopped):
        ours.receive_head()
    with pytest.raises(Stopped):  # nobody reads, so it does not fit into the sockets' buffers
        theirs.send(Kind.MESSAGE, buffers=[memoryview(bytes(50_000_000))])
