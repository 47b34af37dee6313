"""Whether the columns of a run folder's tables are such as a run writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rnb.record.run import CLASS_NAME, CODEC, SEQUENCE
from rnb.record.tables import (
    EVENT_PREFIX,
    EVENTS,
    KERNEL_WINDOWS,
    KERNELS,
    MEMORY,
    OCCUPANCY,
    SERVER_STEPS,
    TELEMETRY,
)

Columns = Mapping[str, pa.ChunkedArray]
_KIND_OF_COLUMN = {
    **dict.fromkeys(("video", "status", "reason", CLASS_NAME, CODEC), "text"),
    **dict.fromkeys(
        ("request_id", "arrival_ns", "num_clips", "width", "height", "label", "attempts", SEQUENCE),
        "whole numbers",
    ),
    "is_warmup": "true or false",
    "score": "numbers",
}
_PREFIXES_OF_NUMBERS = (EVENT_PREFIX, "replica", "worker")
_KIND_OF_TABLE = {
    TELEMETRY: "numbers",
    OCCUPANCY: "numbers",
    KERNEL_WINDOWS: "numbers or text",
    KERNELS: "numbers or text",
    EVENTS: "numbers or text",
    MEMORY: "numbers or text",
    SERVER_STEPS: "numbers or text",
}


def check_requests(columns: Columns) -> None:
    """Those of requests.parquet that this RnB knows. Raises ValueError, in one line."""
    for name, column in columns.items():
        kind = "whole numbers" if name.startswith(_PREFIXES_OF_NUMBERS) else _KIND_OF_COLUMN.get(name)
        if kind is None:
            continue
        _check(name, column, kind)
        if column.null_count and not name.startswith(EVENT_PREFIX):
            raise ValueError(f"column '{name}' has gaps")
    ids = columns["request_id"]
    if pc.count_distinct(ids).as_py() < len(ids):
        raise ValueError("column 'request_id' has a request twice")


def check_table(table: str, columns: Columns) -> None:
    """Those of a table beside the requests, by its name; one of a user's own has what it likes.

    Raises ValueError, in one line.
    """
    kind = _KIND_OF_TABLE.get(table)
    if kind is None:
        return
    for name, column in columns.items():
        _check(name, column, kind)


def _check(name: str, column: pa.ChunkedArray, kind: str) -> None:
    if len(column) and not _KINDS[kind](column.type):  # of an empty one there is nothing to tell a type by
        raise ValueError(f"column '{name}' is {column.type}, and must be {kind}")


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


_KINDS: dict[str, Callable[[Any], bool]] = {
    "text": pa.types.is_string,
    "true or false": pa.types.is_boolean,
    "whole numbers": pa.types.is_integer,
    "numbers": _is_number,
    "numbers or text": lambda kind: _is_number(kind) or bool(pa.types.is_string(kind)),
}
