"""The progress bar: how many requests are done, on a terminal."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm

from rnb.request_table import UNFINISHED, RequestTable


class Progress:
    """Shows on stderr how many requests have finished or failed; silent when that is not a terminal."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table
        self._bar = tqdm(
            total=table.num_requests, unit="video", disable=not sys.stderr.isatty(), mininterval=0.2
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.update()
        self._bar.close()

    def update(self) -> None:
        if not self._bar.disable:
            self._bar.update(self._table.num_requests - self._table.count(UNFINISHED) - self._bar.n)
