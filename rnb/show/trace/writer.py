"""Writes trace events in bulk: columns in, gzipped JSON out.

The format is Chrome's "Trace Event Format", as far as Perfetto reads it
(https://perfetto.dev/docs/getting-started/other-formats). Events may come in any order; of those with the
same time, the order in the file counts.
"""

from __future__ import annotations

import gzip
import json
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = Any
"""An array, a sequence that gives a part of itself for a slice, or one number or text for all rows."""

_ROWS_AT_ONCE = 16_384
_GZIP_LEVEL = 1
_TIME = '"ts":%d.%03d'


class TraceWriter:
    """A trace file that is being written. Times are ns, and in the file µs since `start_ns`.

    Arguments of events (`args`) are columns by name; texts among them must be JSON (`quoted`). What is in
    memory at a time does not depend on the number of events.
    """

    def __init__(self, path: Path, *, start_ns: int, other_data: dict[str, Any]) -> None:
        """`other_data`: about the whole trace. Raises OSError for a path that cannot be written."""
        self._start_ns = start_ns
        self._file = gzip.open(path, "wt", compresslevel=_GZIP_LEVEL, encoding="utf-8", newline="\n")  # noqa: SIM115
        self._file.write('{"displayTimeUnit":"ms","otherData":' + json.dumps(other_data) + ',"traceEvents":[')
        self._separator = "\n"

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.write("\n]}\n")

    def name_process(self, pid: int, name: str) -> None:
        """Processes are listed in the order of their numbers."""
        self._write('"ph":"M","name":"process_name","pid":%d,"args":{"name":%s}', pid, [quoted(name)])
        self._write('"ph":"M","name":"process_sort_index","pid":%d,"args":{"sort_index":%d}', pid, [pid])

    def name_thread(self, pid: int, tid: int, name: str) -> None:
        self._write(
            '"ph":"M","name":"thread_name","pid":%d,"tid":%d,"args":{"name":%s}', pid, tid, [quoted(name)]
        )

    def slices(
        self, name: str, *, pid: Column, tid: Column, start_ns: Column, end_ns: Column, **args: Column
    ) -> None:
        """Stretches of time on the track of a thread. Perfetto drops those that overlap another one there."""
        duration_ns = np.asarray(end_ns) - np.asarray(start_ns)
        fields = f'"ph":"X","name":{_text(name)},"pid":%d,"tid":%d,{_TIME},"dur":%d.%03d'
        self._write(fields, pid, tid, *self._time(start_ns), *np.divmod(duration_ns, 1000), args=args)

    def instants(self, name: str, *, pid: Column, tid: Column, time_ns: Column, **args: Column) -> None:
        fields = f'"ph":"i","s":"t","name":{_text(name)},"pid":%d,"tid":%d,{_TIME}'
        self._write(fields, pid, tid, *self._time(time_ns), args=args)

    def arrow_starts(self, name: str, *, ids: Column, pid: Column, tid: Column, time_ns: Column) -> None:
        """An arrow begins at the slice that runs on the thread at this time."""
        fields = f'"ph":"s","cat":"flow","name":{_text(name)},"id":%d,"pid":%d,"tid":%d,{_TIME}'
        self._write(fields, ids, pid, tid, *self._time(time_ns))

    def arrow_ends(self, name: str, *, ids: Column, pid: Column, tid: Column, time_ns: Column) -> None:
        fields = f'"ph":"f","bp":"e","cat":"flow","name":{_text(name)},"id":%d,"pid":%d,"tid":%d,{_TIME}'
        self._write(fields, ids, pid, tid, *self._time(time_ns))

    def span_starts(self, name: str, *, pid: int, ids: Column, time_ns: Column, **args: Column) -> None:
        """Asynchronous spans begin; those with the same id and process lie on a track of their own, nested.

        `ids`: JSON texts.
        """
        self._write(self._span("b", name, pid), ids, *self._time(time_ns), args=args)

    def span_ends(self, name: str, *, pid: int, ids: Column, time_ns: Column) -> None:
        self._write(self._span("e", name, pid), ids, *self._time(time_ns))

    def counter(self, name: str, *, unit: str, pid: int, time_ns: Column, values: Column) -> None:
        """A number over time; Perfetto calls it 'name unit'."""
        fields = f'"ph":"C","name":{_text(name)},"pid":{pid},{_TIME},"args":{{{_text(unit)}:%.10g}}'
        self._write(fields, *self._time(time_ns), values)

    @staticmethod
    def _span(phase: str, name: str, pid: int) -> str:
        return f'"ph":"{phase}","cat":"span","name":{_text(name)},"pid":{pid},"id2":{{"local":%s}},{_TIME}'

    def _time(self, time_ns: Column) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Whole µs and the ns beyond: a float64 would lose the ns of a long run."""
        whole, beyond = np.divmod(np.asarray(time_ns, dtype=np.int64) - self._start_ns, 1000)
        return whole, beyond

    def _write(self, fields: str, *columns: Column, args: dict[str, Column] | None = None) -> None:
        """One event per row; `fields` is a template with a place for each of the columns."""
        if args:
            fields += ',"args":{' + ",".join(f"{_text(name)}:%s" for name in args) + "}"
            columns = (*columns, *args.values())
        template = ",\n{" + fields + "}"
        num_rows = max(len(column) for column in columns if not _is_scalar(column))
        for first in range(0, num_rows, _ROWS_AT_ONCE):
            rows = slice(first, min(first + _ROWS_AT_ONCE, num_rows))
            text = "".join(
                map(template.__mod__, zip(*(_part(column, rows) for column in columns), strict=True))
            )
            self._file.write(self._separator + text[2:])
            self._separator = ",\n"


def quoted(text: str) -> str:
    """A text as JSON. The bytes of a file's name that are no UTF-8 are escaped."""
    return json.dumps(text.encode("utf-8", "backslashreplace").decode(), ensure_ascii=False)


def _text(text: str) -> str:
    """A text as JSON within a template."""
    return quoted(text).replace("%", "%%")


def _is_scalar(column: Column) -> bool:
    return isinstance(column, str) or not hasattr(column, "__len__")


def _part(column: Column, rows: slice) -> Any:
    if _is_scalar(column):
        return repeat(column, rows.stop - rows.start)
    part = column[rows]
    return part.tolist() if isinstance(part, np.ndarray) else part
