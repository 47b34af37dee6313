"""What the harness itself can carry, whatever the steps are: one client's sends, one queue's messages.

It is measured on the spot, with the client's own loop on a queue of the real transport, so a simulation of
more GPUs than there are bends where the harness would.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnb.contract.events import DUE, SENT
from rnb.contract.request import Request
from rnb.load.source import ScheduleSource
from rnb.play import DEFAULT_FABRIC
from rnb.processes.sender import SenderTask, send, sleep_until
from rnb.transport.message import Message

NUM_MESSAGES, NUM_ROUNDS = 1_000, 5
PAYLOAD = "data/videos/abseiling/0123456789_000000_000010.mp4"


class HarnessCosts(NamedTuple):
    """In ns; by default it costs nothing."""

    send_ns: int = 0
    """Of a client: from one request to the next."""
    put_ns: int = 0
    """For so long a message keeps other writers from its queue."""
    take_ns: int = 0
    """For so long it keeps other readers from it."""


FREE = HarnessCosts()


def measure_harness() -> HarnessCosts:
    """The least of a few rounds of a thousand messages each, of one process; takes about half a second.

    It is CPU time, so what others do counts little. A message's pickling is done outside of the locks and
    does not count. With several processes on several cores, handing a lock over costs more, so a real queue
    carries less than this says.
    """
    rounds = [_round() for _ in range(NUM_ROUNDS)]
    send_ns, put_ns, take_ns, dump_ns, load_ns = np.min(rounds, axis=0).tolist()
    return HarnessCosts(round(send_ns), round(max(0.0, put_ns - dump_ns)), round(max(0.0, take_ns - load_ns)))


def _round() -> tuple[float, float, float, float, float]:
    """A send, a put, a take, and pickling a message for either, in ns."""
    fabric = DEFAULT_FABRIC()
    table = fabric.table(num_requests=NUM_MESSAGES, events=(DUE, SENT))
    queue = fabric.queue("a queue", capacity=2 * NUM_MESSAGES, num_writers=1)
    zeros = np.zeros(NUM_MESSAGES, dtype=np.int64)
    source = ScheduleSource(
        all_arrivals_ns=fabric.numbers(zeros),
        payloads=[PAYLOAD],
        payload_of=fabric.numbers(zeros),
        number=0,
        num_clients=1,
    )
    driver, line = fabric.line()
    task = SenderTask(line=line, stop=fabric.stop, table=table, queue=queue, source=source, environment={})
    sent = table.stamp(SENT)
    assert sent is not None

    def play() -> None:
        for request, due_ns in zip(source, zeros.tolist(), strict=True):
            sleep_until(due_ns, fabric.stop)
            send(task, request, sent)

    message = Message(None, (Request(0, PAYLOAD),), ((),))
    pickled = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    send_ns = _each_ns(play, 1) / NUM_MESSAGES
    take_ns = _each_ns(lambda: queue.take(1.0), NUM_MESSAGES)
    put_ns = _each_ns(lambda: queue.put(message), NUM_MESSAGES)
    dump_ns = _each_ns(lambda: pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL), NUM_MESSAGES)
    load_ns = _each_ns(lambda: pickle.loads(pickled), NUM_MESSAGES)
    driver.close()
    return send_ns, put_ns, take_ns, dump_ns, load_ns


def _each_ns(work: Callable[[], object], times: int) -> float:
    began_ns = time.thread_time_ns()
    for _ in range(times):
        work()
    return (time.thread_time_ns() - began_ns) / times
