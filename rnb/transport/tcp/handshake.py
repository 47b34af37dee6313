"""How two processes of a run find each other: messages are unpickled, so nobody else may connect.

Whoever listens sends a random challenge; who connects answers with its HMAC under the run's token, and names
itself; whoever listens says so when that is right.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket

from rnb.transport.fabric import POLL_S, Stop
from rnb.transport.tcp.connection import wait_for_the_reason

TOKEN_BYTES = 32
CONNECT_TIMEOUT_S = 20.0
_CHALLENGE_BYTES = 32
_NAME_BYTES = 4
_WELCOME = b"RnB\n"


class Refused(ConnectionError):
    """Who listens there is not of this run, or takes this process not to be."""


def listen(host: str) -> socket.socket:
    """A socket that listens on some port of an address of this machine."""
    listening = socket.create_server((host, 0), backlog=128)
    listening.settimeout(POLL_S)
    return listening


def accept(listening: socket.socket, token: bytes, stop: Stop) -> tuple[socket.socket, int]:
    """Wait for one who knows the token: its connection, and what it calls itself."""
    while True:
        stop.check()
        try:
            connected, _ = listening.accept()
        except TimeoutError:
            continue
        connected.settimeout(CONNECT_TIMEOUT_S)
        try:
            return connected, _challenge(connected, token)
        except OSError:
            connected.close()


def _challenge(connected: socket.socket, token: bytes) -> int:
    challenge = secrets.token_bytes(_CHALLENGE_BYTES)
    connected.sendall(challenge)
    name = _receive(connected, _NAME_BYTES)
    if not hmac.compare_digest(
        _receive(connected, hashlib.sha256().digest_size), _sign(token, challenge + name)
    ):
        raise Refused("a wrong token")
    connected.sendall(_WELCOME)
    return int.from_bytes(name, "little")


def connect(address: tuple[str, int], token: bytes, name: int) -> socket.socket:
    """Connect to one that listens. Raises OSError."""
    connected = socket.create_connection(address, timeout=CONNECT_TIMEOUT_S)
    try:
        named = name.to_bytes(_NAME_BYTES, "little")
        challenge = _receive(connected, _CHALLENGE_BYTES)
        connected.sendall(named + _sign(token, challenge + named))
        if _receive(connected, len(_WELCOME)) != _WELCOME:
            raise Refused(f"{address[0]}:{address[1]} does not answer as a process of this run")
    except OSError:
        connected.close()
        raise
    return connected


def reach(node: int, address: tuple[str, int], token: bytes, name: int, stop: Stop) -> socket.socket:
    """Connect to a process of another node. Raises ConnectionError, or Stopped where the run is over."""
    try:
        return connect(address, token, name)
    except OSError as error:
        wait_for_the_reason(stop)
        there = f"node {node} at {address[0]}:{address[1]}"
        raise ConnectionError(f"cannot reach {there}: {error}") from None


def _sign(token: bytes, data: bytes) -> bytes:
    return hmac.digest(token, data, "sha256")


def _receive(connected: socket.socket, num_bytes: int) -> bytes:
    data = b""
    while len(data) < num_bytes:
        received = connected.recv(num_bytes - len(data))
        if not received:
            raise Refused("the connection was closed")
        data += received
    return data
