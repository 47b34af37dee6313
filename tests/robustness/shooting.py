"""A step and an observer that hurt a process of their own run, once, where they are told to.

Which one, when and how is in the environment, where all processes of a run, and modules at their import, find
it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnb.contract import Batch, Context, Layout, Step, TensorSpec
from rnb.contract import Options as AnyOptions
from rnb.observe.observer import End, Observer, Seen, Watched
from rnb.record.run import Run
from tests.support.leftovers import read

VARIABLE = "RNB_TEST_SHOT"
EXIT_CODE = 7
PURPOSE = "this is on purpose"


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One fault."""

    target: str
    """'runner' is the one of the step `Shooter`; 'driver', 'client', 'neighbour' (another runner), 'tracker'
    (multiprocessing's, of shared resources), 'nursery' (which others are forked from), or 'all' but
    these two."""
    phase: str
    fault: str
    """A signal's name, or 'raise', 'exit', 'no memory', 'hang'; these only of the runner."""
    note: str
    """The file that says when it was fired, in seconds of the monotonic clock."""

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}


def come_to(phase: str) -> None:
    """Fire if it is time."""
    shot = Shot(**json.loads(os.environ[VARIABLE]))
    if shot.phase != phase or Path(shot.note).exists():
        return
    pids = _targets(shot.target)  # looking for them may take a while, so before it is told
    Path(shot.note).write_text(str(time.monotonic()))
    if shot.fault.startswith("SIG"):
        for pid in pids:
            os.kill(pid, signal.Signals[shot.fault])
        return
    if shot.fault == "raise":
        raise ArithmeticError(PURPOSE)
    if shot.fault == "no memory":
        raise MemoryError(PURPOSE)
    if shot.fault == "exit":
        os._exit(EXIT_CODE)
    time.sleep(3600)


def _targets(target: str) -> list[int]:
    parent = multiprocessing.parent_process()
    driver = os.getpid() if parent is None else parent.pid or 0
    children = _children(driver)
    tracker = [pid for pid in children if "resource_tracker" in read(f"/proc/{pid}/cmdline")]
    nursery = [pid for pid in children if read(f"/proc/{pid}/comm").strip() == "rnb nursery"]
    own = _children(nursery[0]) if nursery else []
    clients, runners = own[:1], own[1:]  # the client is started first
    return {
        "driver": [driver],
        "client": clients,
        "runner": runners[:1] if parent is None else [os.getpid()],
        "neighbour": [pid for pid in runners if pid != os.getpid()][-1:],
        "tracker": tracker,
        "nursery": nursery,
        "all": [driver, *(pid for pid in own if pid != os.getpid()), os.getpid()],
    }[target]


def _children(parent: int) -> list[int]:
    """In the order in which they were started."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    fields = {pid: read(f"/proc/{pid}/stat").rpartition(") ")[2].split() for pid in pids}
    mine = [pid for pid, one in fields.items() if one and int(one[1]) == parent]
    return sorted(mine, key=lambda pid: (int(fields[pid][19]), pid))


class Number(Step):
    """Hands requests on; its result is the request's id. Notes in a file which ones it had."""

    class Options(AnyOptions):
        has_tensor: bool = False
        """Whether it hands a tensor on, so that there are slots."""
        log: str

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((1, 2)),) if options.has_tensor else ()

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __call__(self, batch: Batch) -> Batch:
        os.write(self._log, b"%d\n" % batch.ids[0])
        if not self.options.has_tensor:
            return batch.give(payloads=batch.ids)
        import torch

        return batch.give(tensors=[torch.full((1, 2), float(batch.ids[0]))], rows=[1], payloads=batch.ids)


class Shooter(Number):
    """The same, armed."""

    class Options(Number.Options):
        at_request: int = 0

    regroups = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        come_to("constructor")

    def warm_up(self, row_counts: Any) -> None:
        come_to("warm-up")

    def __call__(self, batch: Batch) -> Batch:
        if batch.ids[0] >= self.options.at_request:
            come_to("call")
        return super().__call__(batch)

    def flush(self) -> None:
        come_to("flush")

    def close(self) -> None:
        come_to("close")


class ShootingObserver(Observer):
    """Shoots from the driver."""

    def prepare(self, watched: Watched) -> None:
        come_to("start-up")

    def stop(self, end: End) -> Seen:
        come_to("stop")
        return Seen()

    def conclude(self, run: Run) -> None:
        come_to("report")
