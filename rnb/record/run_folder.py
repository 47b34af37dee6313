"""The folder that a run leaves: this module writes it and reads it.

log-meta.txt          arguments, start and end, termination flag          } snuspl/rnb's files, kept;
g<gpu>-r<replica>.txt timestamps of each request, per last-step replica    } see rnb/record/seed_format.py
<config>.json         a copy of the pipeline's config                      }
run.json              everything about the run (RunMeta), versioned
requests.parquet      a row a request: outcome, replicas, timestamps in epoch ns
events.parquet        who was replaced and what was tried again, where that was allowed
<table>.parquet       what was measured beside the run: telemetry, occupancy, … (rnb/record/tables.py)
results.jsonl         a line a request, of results that are no classes
schedule.csv          when each request was to arrive, in ns from the start
summary.json          the statistics that the run printed, versioned

PyArrow is imported where it is needed: it takes as long as all that a run needs before it starts.

requests.parquet is written first, as it is what a run is for, and run.json last: a folder that has run.json
can be read.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from rnb.contract.events import Event
from rnb.contract.termination import UsageError
from rnb.record import seed_format
from rnb.record.arrow import arrow_column
from rnb.record.meta import SCHEMA_VERSION, RunMeta
from rnb.record.results import read_results, write_results
from rnb.record.run import Run, Table, Times
from rnb.record.tables import EVENT_PREFIX

REQUEST_COLUMNS = (
    "request_id", "video", "arrival_ns", "is_warmup", "status", "reason", "num_clips", "label", "score"
)  # fmt: skip
"""arrival_ns: when it was to arrive, from the start; label -1 and score NaN: none."""
META, REQUESTS, RESULTS, SCHEDULE, SUMMARY = (
    "run.json", "requests.parquet", "results.jsonl", "schedule.csv", "summary.json"
)  # fmt: skip
OWN_NAMES = (META, REQUESTS, RESULTS, SCHEDULE, SUMMARY, seed_format.META_NAME)
TABLE_SUFFIX = ".parquet"
LONGEST_NAME_BYTES = 200

Writer = Callable[[Path], object]


class RunFolderError(UsageError):
    """A run folder that cannot be written or read: one line with the path and the reason."""


def create(logs: str | Path, flags: Mapping[str, Any]) -> Path:
    """Make the folder of a new run, named as the seed names it by these flags. Raises RunFolderError."""
    stamp = datetime.now().strftime("%y%m%d_%H%M%S")
    name = (
        f"{stamp}-mi{flags['mean_interval_ms']}-b{flags['batch_size']}-v{flags['videos']}"
        f"-qs{flags['queue_size']}-p{int(flags['per_gpu_queue'])}"
    )
    return make_folder(logs, name)


def create_served(logs: str | Path, name: str) -> Path:
    """Make the folder for the parts of what a pipeline of this name serves. Raises RunFolderError."""
    return make_folder(logs, f"{datetime.now():%y%m%d_%H%M%S}-serve-{name}")


def make_folder(logs: str | Path, name: str) -> Path:
    """Make a new folder, whose name has a number where there is one of that name. Raises RunFolderError."""
    for number in range(1, 1000):
        folder = Path(logs) / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not Path(logs).is_dir():
                raise RunFolderError(f"--logs {logs}: not a folder") from None
        except OSError as error:
            raise RunFolderError(f"--logs {logs}: cannot make a folder there: {error.strerror}") from None
        else:
            return folder
    raise RunFolderError(f"--logs {logs}: a thousand runs in this second")


def write(run: Run, folder: Path) -> None:
    """Write all files of a run but its summary, each by itself: where one fails, the others are there.

    Raises RunFolderError, which names those that cannot be written. Without requests.parquet, no run.json.
    """
    failures = _failures(folder, {REQUESTS: partial(_write_requests, run.times, run.requests)})
    last: dict[str, Writer] = {} if failures else {META: partial(_write_text, _json(run.meta.model_dump()))}
    failures += _failures(folder, {**_writers(run), **last})
    if failures:
        raise RunFolderError("; ".join(failures))


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Raises RunFolderError."""
    _write_whole(folder / SUMMARY, partial(_write_text, _json(summary)))


def write_averages(folder: Path, lines: Sequence[str]) -> None:
    """Add the averages that snuspl/rnb prints to its file, behind what its readers look at.

    Raises RunFolderError.
    """
    path = folder / seed_format.META_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from None
    _write_whole(path, partial(_write_text, "\n".join([text.rstrip("\n"), *lines, ""])))


def _failures(folder: Path, writers: Mapping[str, Writer]) -> list[str]:
    """Write the files; why some cannot be written."""
    failures = []
    for name, writer in writers.items():
        try:
            _write_whole(folder / name, writer)
        except RunFolderError as error:
            failures.append(str(error))
    return failures


def _writers(run: Run) -> dict[str, Writer]:
    """Of the files that stand between the first one and the last."""
    meta = run.meta
    writers: dict[str, Writer] = {
        seed_format.META_NAME: partial(_write_text, seed_format.log_meta(meta)),
        _config_copy_name(meta.config_name): partial(_write_text, _json(meta.config)),
        SCHEDULE: partial(_write_schedule, run.requests),
    }
    if run.results:
        writers[RESULTS] = partial(write_results, run.results)
    writers |= {name + TABLE_SUFFIX: partial(_write_table, table) for name, table in run.tables.items()}
    for replica in meta.replicas:
        if replica["step"] == len(meta.step_names) - 1:
            name = seed_format.timings_name(replica["gpu"], replica["replica_on_gpu"])
            rows = _served_by(run, replica["step"], replica["replica"])
            writers[name] = partial(seed_format.write_timings, run, rows)
    return writers


def _served_by(run: Run, last_step: int, replica: int) -> NDArray[np.intp]:
    """The finished requests, those of the warm-up too, of a replica of the last step."""
    took = run.served_by("replica", last_step)
    if took is None:
        took = run.served_by("replica", last_step, 0)
    return np.flatnonzero(run.ended_as("finished") & (took == replica))


def _config_copy_name(name: str) -> str:
    """The config keeps its name unless a file of the run could have it; of a very long one, the end."""
    name = os.fsdecode(os.fsencode(name)[-LONGEST_NAME_BYTES:])
    return name if name.endswith(".json") and name not in OWN_NAMES else f"config-{name}"


def _write_whole(path: Path, writer: Writer) -> None:
    """Write a file so that a reader sees all of it or nothing, and no half stays. Raises RunFolderError."""
    import pyarrow as pa

    unfinished = path.with_name(path.name + ".partial")
    try:
        writer(unfinished)
        os.replace(unfinished, path)
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        code = getattr(error, "errno", None)
        reason = os.strerror(code) if code else str(error)
        raise RunFolderError(f"{path}: cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


def _write_requests(times: Mapping[Event, Times], requests: Table, path: Path) -> None:
    columns = {name: arrow_column(values) for name, values in requests.items()}
    for event, column in times.items():
        columns[EVENT_PREFIX + event.name] = arrow_column(column, is_null=column == 0)
    _write_columns(columns, path)


def _write_table(table: Table, path: Path) -> None:
    _write_columns({name: arrow_column(values) for name, values in table.items()}, path)


def _write_columns(columns: Mapping[str, Any], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("wb") as file:  # Arrow would take a path for a URI
        pq.write_table(pa.table(columns), file)


def _write_schedule(requests: Table, path: Path) -> None:
    columns = [np.asarray(requests[name]).tolist() for name in ("request_id", "arrival_ns", "video")]
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:  # any file name
        writer = csv.writer(file)
        writer.writerow(["request_id", "arrival_ns", "video"])
        writer.writerows(zip(*columns, strict=True))


def read_schedule(folder: Path) -> tuple[dict[str, Any], NDArray[np.int64], list[str]]:
    """What a run played: its arguments, when each request arrived (ns from the start), and its video.

    Raises RunFolderError for a folder that does not say so.
    """
    try:
        args = _read_meta(folder).args
        with (folder / SCHEDULE).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
        arrivals_ns = np.array([int(row["arrival_ns"]) for row in rows], dtype=np.int64)
        if (np.diff(arrivals_ns, prepend=0) < 0).any():
            raise ValueError(f"the times of {SCHEDULE} do not ascend from 0")
        return args, arrivals_ns, [row["video"] for row in rows]
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise RunFolderError(f"{folder}: no run to replay: it has no {name}") from None
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise RunFolderError(f"{folder}: a damaged run folder: {_reason(error)}") from None


def read(folder: str | Path) -> Run:
    """Read a run folder, RnB's or snuspl/rnb's. Raises RunFolderError for what is neither."""
    import pyarrow as pa

    folder = Path(folder)
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: not a folder")
    try:
        if (folder / META).exists():
            return _read_run(folder)
        if (folder / seed_format.META_NAME).exists():
            return seed_format.read_seed_run(folder, config=_config_in(folder))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RunFolderError(f"{folder}: a damaged run folder: {_reason(error)}") from error
    raise RunFolderError(f"{folder}: not a run folder: it has neither {META} nor {seed_format.META_NAME}")


def _config_in(folder: Path) -> Path | None:
    return next((path for path in sorted(folder.glob("*.json")) if path.name not in OWN_NAMES), None)


def _reason(error: Exception) -> str:
    """One line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{META}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return next(iter(str(error).splitlines()), type(error).__name__)


def _read_run(folder: Path) -> Run:
    from rnb.record.columns import check_requests

    meta = _read_meta(folder)
    columns = _columns(folder / REQUESTS)
    for name in (*REQUEST_COLUMNS, *(EVENT_PREFIX + event.name for event in meta.events)):
        if name not in columns:
            raise ValueError(f"{REQUESTS} has no column '{name}'")
    check_requests(columns)
    of_event = {event: columns[EVENT_PREFIX + event.name] for event in meta.events}
    return Run(
        meta=meta,
        folder=folder,
        times={event: column.fill_null(0).to_numpy().astype(np.int64) for event, column in of_event.items()},
        requests={
            name: column.to_numpy() for name, column in columns.items() if not name.startswith(EVENT_PREFIX)
        },
        tables={
            path.stem: _table(path)
            for path in sorted(folder.glob(f"*{TABLE_SUFFIX}"))
            if path.name not in (REQUESTS, _config_copy_name(meta.config_name))
        },
        results=read_results(folder / RESULTS),
    )


def _table(path: Path) -> Table:
    from rnb.record.columns import check_table

    columns = _columns(path)
    check_table(path.stem, columns)
    return {name: column.to_numpy() for name, column in columns.items()}


def _columns(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Arrow's own file: one of Python's is closed by a thread of Arrow's, which ends the process at its exit.
    with pa.OSFile(os.fsencode(path)) as file:
        table = pq.ParquetFile(file).read()
    return {name: table[name] for name in table.column_names}


def _read_meta(folder: Path) -> RunMeta:
    data = json.loads((folder / META).read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"{META} holds no object")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        is_newer = isinstance(version, int) and version > SCHEMA_VERSION
        advice = "update this RnB" if is_newer else "read it with the RnB that wrote it, or run it again"
        raise RunFolderError(
            f"{folder}: {META} has schema version {version}, this RnB reads {SCHEMA_VERSION}; {advice}"
        )
    return RunMeta.model_validate(data)
