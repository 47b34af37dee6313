"""Steps that fail, die, leak or tell their process, without torch: such processes start quickly."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal

from rnb.contract import Batch, Context, RequestError, Step
from rnb.contract import Options as AnyOptions
from rnb.pipeline.selectors import Selector

KEPT_BYTES = 64 * 1024


class Tell(Step):
    """The result of a request is the process that served it."""

    class Options(AnyOptions):
        seconds: float = 0

    def __call__(self, batch: Batch) -> Batch:
        time.sleep(self.options.seconds)
        return batch.give(payloads=[os.getpid()])


class OddApart(Selector):
    """Even requests to queue 0, odd ones to queue 1."""

    def select(self, batch: Batch) -> int:
        return batch.ids[0] % 2


class Falter(Tell):
    """Does not get through these requests the first times that it is called for each."""

    class Options(Tell.Options):
        how: Literal["fail", "exit", "raise", "hand back what JSON does not know"]
        requests: tuple[int, ...]
        times: int = 1
        folder: str
        """Where each try leaves a file, which says the process."""

    def __call__(self, batch: Batch) -> Batch:
        (request_id,) = batch.ids
        tries = list(Path(self.options.folder).glob(f"{request_id}-*"))
        Path(self.options.folder, f"{request_id}-{len(tries)}").write_text(str(os.getpid()))
        if request_id in self.options.requests and len(tries) < self.options.times:
            if self.options.how == "exit":
                os._exit(7)
            if self.options.how == "raise":
                raise ArithmeticError(f"try {len(tries)} of request {request_id}")
            if self.options.how != "fail":
                return batch.give(payloads=[object()])
            raise RequestError(f"try {len(tries)} failed")
        return super().__call__(batch)


class Leak(Tell):
    """Keeps as much of each request, up to a number of them."""

    class Options(Tell.Options):
        most: int = 1 << 30

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._kept: list[bytes] = []

    def __call__(self, batch: Batch) -> Batch:
        if len(self._kept) < self.options.most:
            self._kept.append(os.urandom(KEPT_BYTES))
        return super().__call__(batch)
