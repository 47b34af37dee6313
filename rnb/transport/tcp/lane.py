"""A lane: the connection over which one process puts messages without tensors into a queue of another node.

    writer ─── MESSAGE, FILE, MESSAGE, …, END ──▶ the bridge there, which puts them into its queue
           ◀── how many messages have come, and how many wait in the queue ──

So such a message wakes two processes, not three. The bridge closes the connection when it has got all.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NoReturn

import numpy as np

from rnb.transport.fabric import FAILED, Stop, Table
from rnb.transport.message import Message
from rnb.transport.tcp.address_book import AddressBook
from rnb.transport.tcp.connection import BEAT_S, Cut, Hearing, set_up, wait_for_the_reason
from rnb.transport.tcp.handshake import reach

FIRST_NAME = 1 << 16
"""In the handshake a lane calls itself so much more than its queue's number; bridges have their node's."""
_HEAD = struct.Struct("<BQ")
_STATE = struct.Struct("<qq")
_READ_BYTES = 1 << 18
HEAR_INTERVAL_S = 0.005
"""How old may be what a writer knows of the other end: that says no more often how many wait."""


class Kind(IntEnum):
    """What a frame is."""

    MESSAGE = 0
    FILE = 1
    """The bytes of the file that the payload of the next message names."""
    END = 2
    """Nothing more comes; with it the requests that are known to get no result: who joins segments must not
    wait for them."""
    BACK = 3
    """A message that was there before: it is put whatever the capacity is."""


class Lane:
    """A WritingEnd, for all threads of one process. Raises ConnectionError when the other node is gone."""

    def __init__(
        self,
        name: str,
        *,
        queue: int,
        node: int,
        addresses: AddressBook,
        token: bytes,
        stop: Stop,
        table: Table,
        sends_files: bool = False,
    ) -> None:
        """`sends_files`: whether the file that each request's payload names goes along."""
        self.name = name
        self._queue, self._node, self._addresses, self._token = queue, node, addresses, token
        self._stop, self._table, self._sends_files = stop, table, sends_files
        self._num_sent = self._num_received = self._num_waiting = 0
        self._sending = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_sending"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._sending = threading.Lock()

    def connect(self) -> None:
        """When all nodes are ready."""
        address = self._addresses.read(self._node)
        self._socket = reach(self._node, address, self._token, FIRST_NAME + self._queue, self._stop)
        set_up(self._socket)
        self._hearing, self._heard = Hearing(), b""
        self._next_look = 0.0

    def disconnect(self) -> None:
        """Without a word; it may have been closed, or never opened."""
        if hasattr(self, "_socket"):
            self._socket.close()

    def put(self, message: Message) -> None:
        self._put(Kind.MESSAGE, message)

    def put_back(self, message: Message) -> None:
        self._put(Kind.BACK, message)

    def _put(self, kind: Kind, message: Message) -> None:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            try:
                if self._sends_files:
                    self._send_file(message.requests[0].payload)
                self._send(_HEAD.pack(kind, len(data)) + data)
                self._num_sent += 1
                self._hear_now_and_then()
            except OSError as error:
                self._fail(error)

    def depth(self) -> int:
        """How many messages are under way, or wait at the other end."""
        with self._sending:
            try:
                self._hear_now_and_then()
            except OSError as error:
                self._fail(error)
            return self._num_waiting + self._num_sent - self._num_received

    def close(self) -> None:
        """Wait until the other end has got all."""
        failed = np.flatnonzero(self._table.outcomes["status"] == FAILED).astype("<i8").tobytes()
        with self._sending, self._socket:
            try:
                self._send(_HEAD.pack(Kind.END, len(failed)) + failed)
                while self._hear(0):
                    self._stop.check()
                if self._num_received <= self._num_sent:  # the end itself counts as well
                    raise Cut("closed by the other end")
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        wait_for_the_reason(self._stop)
        raise ConnectionError(f"the connection to node {self._node} was cut: {error}") from None

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._stop.check()
                self._hear()

    def _send_file(self, path: str) -> None:
        """Where there is none that can be read, the other node opens what it has of that name."""
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            return
        with open(fd, "rb") as file:
            found, sent = os.fstat(fd), 0
            if not stat.S_ISREG(found.st_mode):
                return
            self._send(_HEAD.pack(Kind.FILE, found.st_size))
            while sent < found.st_size:
                sent += self._send_part(file.fileno(), sent, found.st_size - sent)

    def _send_part(self, fd: int, start: int, num_bytes: int) -> int:
        try:
            sent = os.sendfile(self._socket.fileno(), fd, start, num_bytes)
        except BlockingIOError:
            self._stop.check()
            self._hear()
            return 0
        if not sent:
            raise Cut("a file became shorter while it was sent")
        return sent

    def _hear_now_and_then(self) -> None:
        if time.monotonic() > self._next_look:
            self._hear()

    def _hear(self, flags: int = socket.MSG_DONTWAIT) -> bool:
        """Take what the other end has told; False: it has closed the connection."""
        self._next_look = time.monotonic() + HEAR_INTERVAL_S
        try:
            told = self._socket.recv(_READ_BYTES, flags)
        except BlockingIOError:
            self._hearing.check()
            return True
        self._hearing.note()
        self._heard += told
        num_whole = len(self._heard) // _STATE.size * _STATE.size
        if num_whole:
            self._num_received, self._num_waiting = _STATE.unpack_from(self._heard, num_whole - _STATE.size)
            self._heard = self._heard[num_whole:]
        return bool(told)


class LaneEnd:
    """The receiving end."""

    def __init__(self, connected: socket.socket, queue: int) -> None:
        set_up(connected)
        self._socket, self.queue = connected, queue
        self._buffer, self._needed = bytearray(), 0
        self.file: bytes | None = None
        """Of the next message."""
        self._target = memoryview(bytearray(_READ_BYTES))
        self._num_received, self._told, self._tells_at = 0, (-1, -1), 0.0
        self._to_tell = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> Iterator[tuple[Kind, memoryview]]:
        """The frames that have come whole by now; raises Cut when the writer is gone."""
        try:
            num_bytes = self._socket.recv_into(self._target, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise Cut(str(error)) from None
        if not num_bytes:
            raise Cut("closed by the other end")
        data = self._target[:num_bytes]
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data = memoryview(bytes(self._buffer))
        start, self._needed = 0, _HEAD.size
        while len(data) - start >= _HEAD.size:
            kind, length = _HEAD.unpack_from(data, start)
            end = start + _HEAD.size + length
            if end > len(data):
                self._needed = end - start
                break
            yield Kind(kind), data[start + _HEAD.size : end]
            start = end
        self._buffer = bytearray(data[start:])

    def count(self) -> None:
        """One more frame has done what it was for."""
        self._num_received += 1

    def tell(self, num_waiting: int) -> None:
        """The writer, where there is news, or has been none for long."""
        state, now = (self._num_received, num_waiting), time.monotonic()
        if not self._to_tell and (state != self._told or now > self._tells_at):
            self._told, self._tells_at = state, now + BEAT_S
            self._to_tell = _STATE.pack(*state)
        with contextlib.suppress(OSError):  # the writer is gone, or has not listened for long
            self._to_tell = self._to_tell[self._socket.send(self._to_tell, socket.MSG_DONTWAIT) :]

    def close(self) -> None:
        self._socket.close()
