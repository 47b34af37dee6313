"""Only processes of the run find each other."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from rnb.contract.termination import Termination
from rnb.transport.fabric import Stopped
from rnb.transport.local.stop import StopFlag
from rnb.transport.tcp.handshake import Refused, accept, connect, listen

TOKEN = b"t" * 32


def test_who_knows_the_token_is_let_in_by_name() -> None:
    with listen("127.0.0.1") as listening, ThreadPoolExecutor(1) as thread:
        accepted = thread.submit(accept, listening, TOKEN, StopFlag())
        connected = connect(listening.getsockname(), TOKEN, name=7)
        theirs, name = accepted.result()
        assert name == 7
        connected.sendall(b"hello")
        assert theirs.recv(5) == b"hello"
        connected.close()
        theirs.close()


def test_who_does_not_is_turned_away_and_the_next_is_let_in() -> None:
    with listen("127.0.0.1") as listening, ThreadPoolExecutor(1) as thread:
        accepted = thread.submit(accept, listening, TOKEN, StopFlag())
        with pytest.raises((Refused, ConnectionError)):
            connect(listening.getsockname(), b"f" * 32, name=1)
        with socket.create_connection(listening.getsockname()):
            pass  # says nothing and leaves
        connect(listening.getsockname(), TOKEN, name=2).close()
        theirs, name = accepted.result()
        assert name == 2
        theirs.close()


def test_waiting_ends_with_the_run() -> None:
    stop = StopFlag()
    stop.raise_flag(Termination.INTERRUPTED)
    with listen("127.0.0.1") as listening, pytest.raises(Stopped):
        accept(listening, TOKEN, stop)
