"""In a bridge: takes what the writers of the other node send over lanes, and puts it into the queues here."""

from __future__ import annotations

import pickle
import select
import socket
import time
from collections.abc import Mapping
from queue import SimpleQueue

import numpy as np

from rnb.processes.sent_files import SentFiles
from rnb.transport.clock import sleep_precisely
from rnb.transport.fabric import FAILED, Queue, Stop, Table
from rnb.transport.message import Message
from rnb.transport.tcp.connection import Cut
from rnb.transport.tcp.handshake import accept
from rnb.transport.tcp.lane import FIRST_NAME, Kind, LaneEnd

LOOK_INTERVAL_S = 0.005
"""How often a writer is told how many of its messages wait, and how soon a new one is heard."""
POLL_INTERVAL_S = 10e-6


class LaneReceiver:
    """For all queues that the writers of one node fill."""

    def __init__(
        self,
        lanes: Mapping[int, int],
        queues: Mapping[int, Queue],
        *,
        listening: socket.socket,
        token: bytes,
        stop: Stop,
        table: Table,
        poll_s: float,
    ) -> None:
        """`lanes`: how many writers each queue has there; `poll_s`: see Queue.take."""
        self._lanes, self._queues, self._listening, self._token = lanes, queues, listening, token
        self._stop, self._table, self._poll_s = stop, table, poll_s
        self._num_open = sum(lanes.values())
        self._new: SimpleQueue[LaneEnd] = SimpleQueue()
        self._ends: dict[int, LaneEnd] = {}
        self._files = SentFiles(table)
        self._epoll = select.epoll()
        self._last_s = self._next_look_s = 0.0

    def accept_all(self) -> None:
        """Until the run ends: a writer may be replaced at any time."""
        while True:
            connected, name = accept(self._listening, self._token, self._stop)
            if name - FIRST_NAME in self._lanes:
                self._new.put(LaneEnd(connected, name - FIRST_NAME))
            else:
                connected.close()

    def receive_all(self) -> None:
        """Until every writer has said that nothing more comes."""
        if self._poll_s:
            sleep_precisely()
        while self._num_open:
            now = time.monotonic()
            if now > self._next_look_s:
                self._look()
                if self._files.is_full:
                    time.sleep(LOOK_INTERVAL_S)
                    continue
            is_polling = now < self._last_s + self._poll_s
            ready = self._epoll.poll(0 if is_polling else LOOK_INTERVAL_S)
            for fd, _ in ready:
                self._receive(self._ends[fd])
                self._last_s = time.monotonic()
            if is_polling and not ready:
                time.sleep(POLL_INTERVAL_S)

    def _look(self) -> None:
        self._next_look_s = time.monotonic() + LOOK_INTERVAL_S
        self._stop.check()
        self._files.look()
        while not self._new.empty():
            end = self._new.get()
            self._ends[end.fileno()] = end
            self._epoll.register(end.fileno(), select.EPOLLIN)
        for end in self._ends.values():
            end.tell(self._queues[end.queue].depth())

    def _receive(self, end: LaneEnd) -> None:
        queue = self._queues[end.queue]
        try:
            for kind, data in end.receive():
                if kind is Kind.END:
                    self._table.outcomes["status"][np.frombuffer(data, "<i8")] = FAILED
                    queue.close()
                    self._num_open -= 1
                    end.count()
                    end.tell(queue.depth())
                    return self._drop(end)
                if kind is Kind.FILE:
                    end.file = bytes(data)
                    continue
                whole = data if end.file is None else self._with_file(end, data)
                if kind is Kind.BACK:
                    queue.put_back(pickle.loads(whole))
                else:
                    queue.put_pickled(whole)
                end.count()
        except Cut:
            self._drop(end)  # its writer knows, or who started it: it may be replaced
        return None

    def _with_file(self, end: LaneEnd, data: memoryview) -> bytes:
        """The message that came after a file, with the path of that."""
        message: Message = pickle.loads(data)
        (request,) = message.requests
        assert end.file is not None
        requests = (request.with_payload(self._files.hold(request.id, end.file)),)
        end.file = None
        return pickle.dumps(message._replace(requests=requests), pickle.HIGHEST_PROTOCOL)

    def _drop(self, end: LaneEnd) -> None:
        del self._ends[end.fileno()]
        self._epoll.unregister(end.fileno())
        end.close()
