"""Steps that are killed at some requests, once each, and note what they serve: without torch, so they start
quickly."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from rnb.contract import Batch, Step
from rnb.contract import Options as AnyOptions
from rnb.contract.termination import UsageError


class MortalOptions(AnyOptions):
    dies_at: tuple[int, ...] = ()
    folder: str
    """Where it notes what it serves, and which deaths have been."""
    step: int
    dies_at_end: bool = False


class Mortal:
    options: Any

    def close(self) -> None:
        if self.options.dies_at_end and _is_first(Path(self.options.folder, "death at the end")):
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, batch: Batch) -> None:
        for request_id in self.options.dies_at:
            if request_id in batch.ids and _is_first(Path(self.options.folder, f"death {request_id}")):
                os.kill(os.getpid(), signal.SIGKILL)
        with open(Path(self.options.folder, "served"), "a") as file:
            file.write("".join(f"{self.options.step} {request_id}\n" for request_id in batch.ids))


def _is_first(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def times_served(folder: Path) -> Counter[tuple[int, int]]:
    """By step and request."""
    pairs = (line.split() for line in (folder / "served").read_text().splitlines())
    return Counter((int(step), int(request)) for step, request in pairs)


class StartsAgain(Step):
    """Its second process fails in the constructor."""

    class Options(AnyOptions):
        folder: str

    def __init__(self, options: Any, context: Any) -> None:
        self.options, self.context = options, context
        Path(options.folder, str(os.getpid())).touch()
        if len(list(Path(options.folder).iterdir())) == 2:
            raise RuntimeError("not this time")

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=[0] * len(batch))


class RefusesAgain(Step):
    """The second agent that has it cannot use its machine."""

    class Options(AnyOptions):
        folder: str

    @classmethod
    def check_machine(cls, options: Any, device: Any) -> None:
        Path(options.folder, str(os.getpid())).touch()
        if len(list(Path(options.folder).iterdir())) == 2:
            raise UsageError("not this time")

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=[0] * len(batch))


class Say(Mortal, Step):
    """The result of a request is its number."""

    class Options(MortalOptions):
        pass

    def __call__(self, batch: Batch) -> Batch:
        self.note(batch)
        return batch.give(payloads=list(batch.ids))
