"""Steps for pipelines that serve, without torch."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from rnb.contract import Batch, Context, RequestError, Step
from rnb.contract import Options as AnyOptions


class Read(Step):
    """Hands on what is in the file of a request, as text; 'bad' cannot be served, 'die' ends the process."""

    class Options(AnyOptions):
        seconds: float = 0

    def __call__(self, batch: Batch) -> Batch:
        time.sleep(self.options.seconds)
        texts = [Path(path).read_text() for path in batch.payloads]
        if "die" in texts:
            os._exit(7)
        if "bad" in texts:
            raise RequestError(f"{batch.payloads[0]}: it is bad")
        return batch.give(payloads=texts)


class Shout(Step):
    """The result: the text in capitals, and how many requests the call had. 'hold' takes a while."""

    class Options(AnyOptions):
        hold_s: float = 0.5

    batches_requests = True

    def __call__(self, batch: Batch) -> Batch:
        if "hold" in batch.payloads:
            time.sleep(self.options.hold_s)
        if "die late" in batch.payloads:
            os._exit(7)
        return batch.give(payloads=[[text.upper(), len(batch), os.getpid()] for text in batch.payloads])


class StartsProcess(Step):
    """Starts a process of its own that would outlive it."""

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        process = subprocess.Popen(["sleep", "600"])
        process.returncode = 0  # nobody waits for it

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=batch.payloads)


class SlowToStart(Read):
    """Takes ten minutes to get ready."""

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        time.sleep(600)


class SlowStart(Step):
    """Takes ten minutes to start, and says when it begins to."""

    class Options(AnyOptions):
        mark: str

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        Path(options.mark).touch()
        time.sleep(600)

    def __call__(self, batch: Batch) -> Batch:
        return batch
