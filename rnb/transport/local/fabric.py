"""The fabric of a run on one machine: processes that it starts, and memory that they share."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from numpy.typing import NDArray

from rnb.contract.device import Device
from rnb.contract.events import Event
from rnb.contract.request import Layout
from rnb.transport.clock import LocalClock
from rnb.transport.local.control import PipeLine
from rnb.transport.local.keyed_queue import KeyedQueue
from rnb.transport.local.nursery import begin, nursery
from rnb.transport.local.queues import MessageQueue
from rnb.transport.local.request_table import RequestTable
from rnb.transport.local.shared_memory import SharedArray, SharedLog, SharedTexts
from rnb.transport.local.slots import SlotPool
from rnb.transport.local.stop import StopFlag
from rnb.transport.message import sequence_of


class LocalFabric:
    """Makes what joins the processes of one run."""

    def __init__(self, imported: Sequence[str] = ()) -> None:
        """`imported`: fork the processes from one that has imported these modules; none: spawn them."""
        self._is_forking = bool(imported)
        self._context: Any = nursery(imported) if imported else multiprocessing.get_context("spawn")
        self.stop = StopFlag()
        self.clock = LocalClock()

    def queue(self, name: str, *, capacity: int, num_writers: int) -> MessageQueue:
        return MessageQueue(name, capacity=capacity, num_writers=num_writers, context=self._context)

    def sequence_queue(self, name: str, *, capacity: int, num_writers: int, num_readers: int) -> KeyedQueue:
        queues = [self.queue(name, capacity=capacity, num_writers=num_writers) for _ in range(num_readers)]
        return KeyedQueue(queues, sequence_of)

    def pool(self, *, layout: Layout, num_slots: int, device: Device) -> SlotPool:
        return SlotPool(
            layout=layout, num_slots=num_slots, device=device, context=self._context, stop=self.stop
        )

    def table(self, *, num_requests: int, events: Sequence[Event]) -> RequestTable:
        return RequestTable(num_requests=num_requests, events=events)

    def log(self) -> SharedLog:
        return SharedLog()

    def line(self) -> tuple[Connection, PipeLine]:
        """The driver's end, and the child's."""
        ours, theirs = self.pipe()
        return ours, PipeLine(connection=theirs, stop=self.stop)

    def pipe(self) -> tuple[Connection, Connection]:
        ours, theirs = self._context.Pipe()
        return ours, theirs

    def texts(self, texts: Sequence[str]) -> SharedTexts:
        return SharedTexts(texts)

    def numbers(self, values: NDArray[Any]) -> SharedArray:
        return SharedArray(values)

    def process(self, *, name: str, target: Callable[..., None], args: tuple[Any, ...]) -> BaseProcess:
        if self._is_forking:
            target, args = begin, (dict(os.environ), target, *args)
        process: BaseProcess = self._context.Process(target=target, args=args, name=name)
        return process
