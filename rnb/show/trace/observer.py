"""--trace: writes the trace of a run when that is in its folder."""

from __future__ import annotations

from rnb.observe.observer import Observer
from rnb.record.run import Run
from rnb.show.trace import MOST_REQUESTS, trace


class TraceObserver(Observer):
    name = "trace"

    def __init__(self, most_requests: int = MOST_REQUESTS) -> None:
        """Of a longer run it shows the first requests and the slowest ones."""
        self._most_requests = most_requests
        self.line = ""
        """What it shows, once it is written."""
        self.problem = ""
        """Why it is not."""

    def conclude(self, run: Run) -> None:
        if run.folder is None or run.meta.start_epoch_ns is None:
            return
        path = run.folder / trace.FILE_NAME
        try:
            self.line = trace.write(run, path, most_requests=self._most_requests)
        except OSError as error:
            self.problem = f"{path}: cannot be written: {error.strerror or error}"
