"""The folder that a run leaves: this module writes it and reads it.

log-meta.txt          arguments, start and end, termination flag          } snuspl/rnb's files, kept
g<gpu>-r<replica>.txt timestamps of each request, per last-step replica    }
<config>.json         a copy of the pipeline's config                      }
run.json              everything about the run (RunMeta), versioned
requests.parquet      a row a request: outcome, replicas, timestamps in epoch ns
telemetry.parquet     what the GPUs and CPUs did beside the run, a row a sample
occupancy.parquet, kernel_windows.parquet, kernels.parquet: --occupancy, see rnb/occupancy_tables.py
schedule.csv          when each request was to arrive, in ns from the start
summary.json          the statistics that the run printed, versioned

run.json is written last: a folder that has it is complete.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

SCHEMA_VERSION = 2
EVENT_PREFIX = "time_"
"""Of the timestamp columns in requests.parquet."""
REQUEST_COLUMNS = (
    "request_id", "video", "arrival_ns", "is_warmup", "status", "reason", "num_clips", "label", "score"
)  # fmt: skip
"""arrival_ns: when it was to arrive, from the start; label -1 and score NaN: none."""
OWN_NAMES = (
    "run.json", "summary.json", "schedule.csv", "requests.parquet", "telemetry.parquet", "log-meta.txt"
)  # fmt: skip
TABLES = ("telemetry", "occupancy", "kernel_windows", "kernels")
"""Attributes of a run that have a file of their own, if there is anything to keep."""
SEED_EVENT = re.compile(r"enqueue_filename|(runner|inference)\d+_(start|finish)(-\d+)?")
"""The events that the seed's files have; its readers know no others."""

_NS_PER_S = 1_000_000_000
_ROWS_AT_ONCE = 65_536
_TIMINGS_NAME = re.compile(r"g-?\d+(-group\d+)?-r?\d+\.txt")
"""g<gpu>-r<replica>.txt; later snuspl/rnb writes g<gpu>-group<group>-<replica>.txt."""


class RunFolderError(Exception):
    """A run folder that cannot be written or read: one line with the path and the reason."""


class RunMeta(BaseModel):
    """run.json."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    argv: list[str]
    args: dict[str, Any]
    args_line: str
    """The seed's 'Namespace(...)'."""
    config_name: str
    config: Any
    start_epoch_ns: int | None
    """None when the start barrier was never passed."""
    end_epoch_ns: int
    termination_flag: int
    termination: str
    is_success: bool
    message: str
    """Why the run failed; empty when it did not."""
    device_mode: str
    mps: str
    events: list[str]
    step_names: list[str]
    replicas: list[dict[str, Any]]
    provenance: dict[str, Any]
    notes: list[str] = []
    """What was asked for and could not be had, a line each."""

    @property
    def began_epoch_ns(self) -> int:
        """The start; of a run that never started, its end."""
        return self.start_epoch_ns or self.end_epoch_ns


@dataclass(kw_only=True)
class Run:
    """A run, as it ends or as read back. Timestamps are int64 epoch ns, 0 = not reached."""

    folder: Path
    meta: RunMeta | None
    """None for a folder in snuspl/rnb's own format."""
    args: dict[str, Any]
    config: Any
    start_ns: int
    end_ns: int
    """When the run ended, in epoch ns like its start."""
    events: list[str]
    times: dict[str, NDArray[np.int64]]
    requests: dict[str, NDArray[Any]]
    """REQUEST_COLUMNS, replica<i> and worker<i>; of a run in the seed's format only status and is_warmup."""
    telemetry: dict[str, NDArray[Any]] | None = None
    """By column, a row a sample; None when there was none."""
    occupancy: dict[str, NDArray[Any]] | None = None
    kernel_windows: dict[str, NDArray[Any]] | None = None
    kernels: dict[str, NDArray[Any]] | None = None
    """The three of --occupancy, by column."""

    @classmethod
    def described(cls, meta: RunMeta, **data: Any) -> Run:
        """A run of RnB's own: `meta` says what it was; `data` are the fields that it leaves open."""
        return cls(
            meta=meta,
            args=meta.args,
            config=meta.config,
            start_ns=meta.began_epoch_ns,
            end_ns=meta.end_epoch_ns,
            events=meta.events,
            **data,
        )

    @property
    def num_warmup(self) -> int:
        return int(np.count_nonzero(self.requests["is_warmup"]))

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """Which requests count."""
        measured: NDArray[np.bool_] = ~self.requests["is_warmup"].astype(bool)
        return measured

    @property
    def ends_ns(self) -> NDArray[np.int64]:
        """The last timestamp of each request, (num_requests,)."""
        ends = np.zeros(len(self.requests["status"]), dtype=np.int64)
        for event in self.events:
            np.maximum(ends, self.times[event], out=ends)
        return ends

    @property
    def window_ns(self) -> tuple[int, int]:
        """The measured phase, in epoch ns: the whole run, or what follows the warm-up.

        It begins when the first measured request is due; where that is the same time for all, when as many
        requests were done as were to warm up. It ends when the last measured request was done.
        """
        if not self.num_warmup:
            return self.start_ns, self.end_ns
        measured, ends_ns, scheduled_ns = self.is_measured, self.ends_ns, self.times["scheduled"]
        status = self.requests["status"]
        is_done = (status == "finished") | (status == "failed")
        start_ns = int(scheduled_ns[measured].min())
        if start_ns == scheduled_ns[~measured].max() and np.count_nonzero(is_done) >= self.num_warmup:
            start_ns = int(np.sort(ends_ns[is_done])[self.num_warmup - 1])
        end_ns = int(ends_ns[measured].max()) if is_done[measured].all() else self.end_ns
        return start_ns, max(start_ns, end_ns)

    @property
    def seconds(self) -> float:
        """The length of the measured phase."""
        start_ns, end_ns = self.window_ns
        return (end_ns - start_ns) / _NS_PER_S


def create(logs: str | Path, args: Any) -> Path:
    """Make the folder of a new run, named as the seed names it. Raises RunFolderError."""
    stamp = datetime.now().strftime("%y%m%d_%H%M%S")
    name = (
        f"{stamp}-mi{args.mean_interval_ms}-b{args.batch_size}-v{args.videos}"
        f"-qs{args.queue_size}-p{int(args.per_gpu_queue)}"
    )
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


def write(run: Run, summary: dict[str, Any]) -> None:
    """Write all files of a run into its folder. Raises RunFolderError."""
    assert run.meta is not None
    meta, folder = run.meta, run.folder
    requests = {name: _storable(values) for name, values in run.requests.items()}
    writers: dict[str, Callable[[Path], object]] = {
        "log-meta.txt": partial(_write_text, _log_meta(meta)),
        _config_copy_name(meta): partial(_write_text, _json(meta.config)),
        "requests.parquet": partial(_write_requests, run.times, requests),
        "schedule.csv": partial(_write_schedule, requests),
        "summary.json": partial(_write_text, _json(summary)),
    }
    tables = {name: getattr(run, name) for name in TABLES}
    writers |= {
        f"{name}.parquet": partial(_write_parquet, table)
        for name, table in tables.items()
        if table is not None
    }
    for replica in meta.replicas:
        if replica["step"] == len(meta.step_names) - 1:
            name = f"g{replica['gpu']}-r{replica['replica_on_gpu']}.txt"
            rows = _served_by(run, replica["replica"])
            writers[name] = partial(_write_timings, run, rows)
    writers["run.json"] = partial(_write_text, _json(meta.model_dump()))
    for name, writer in writers.items():
        _write_whole(folder / name, writer)


def _served_by(run: Run, replica: int) -> NDArray[np.int64]:
    """The finished requests of a replica of the last step."""
    assert run.meta is not None
    last = f"replica{len(run.meta.step_names) - 1}"
    took = run.requests[last if last in run.requests else f"{last}-0"]
    return np.flatnonzero((run.requests["status"] == "finished") & (took == replica))


def _storable(values: Any) -> Any:
    """Texts as valid UTF-8: the path of a video may hold any bytes."""
    values = np.asarray(values)
    if values.dtype != object:
        return values
    texts = [value.encode("utf-8", "backslashreplace").decode() for value in values]
    return np.array(texts, dtype=object)


def _config_copy_name(meta: RunMeta) -> str:
    """The config keeps its name unless a file of the run has it."""
    return f"config-{meta.config_name}" if meta.config_name in OWN_NAMES else meta.config_name


def _write_whole(path: Path, writer: Callable[[Path], object]) -> None:
    """Write a file so that a reader sees all of it or nothing, and no half of it stays."""
    unfinished = path.with_name(path.name + ".partial")
    try:
        writer(unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RunFolderError(f"{path}: cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


def _log_meta(meta: RunMeta) -> str:
    start = meta.began_epoch_ns
    return (
        f"Args: {meta.args_line}\n{start / 1e9:f} {meta.end_epoch_ns / 1e9:f}\n"
        f"Termination flag: {meta.termination_flag}\n"
    )


def _write_timings(run: Run, rows: NDArray[np.int64], path: Path) -> None:
    """The seed's log: only the columns that its readers know."""
    events = [event for event in run.events if SEED_EVENT.fullmatch(event)]
    with path.open("w", encoding="utf-8") as file:
        file.write(" ".join(events) + "\n")
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            file.writelines(_as_seconds(np.stack([run.times[event][some] for event in events], axis=1)))


def _as_seconds(times: NDArray[np.int64]) -> Iterator[str]:
    """Lines of epoch seconds, to the nanosecond: a float64 would round them to 238 ns."""
    line = " ".join(["%d.%09d"] * times.shape[1]) + "\n"
    parts = np.stack(np.divmod(times, _NS_PER_S), axis=2).reshape(len(times), -1)
    return (line % tuple(row) for row in parts.tolist())


def _write_requests(times: dict[str, NDArray[np.int64]], requests: dict[str, Any], path: Path) -> None:
    columns: dict[str, Any] = {name: pa.array(values) for name, values in requests.items()}
    for event, column in times.items():
        columns[EVENT_PREFIX + event] = pa.array(column, mask=column == 0)
    pq.write_table(pa.table(columns), path)


def _write_parquet(columns: dict[str, Any], path: Path) -> None:
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)


def _write_schedule(requests: dict[str, Any], path: Path) -> None:
    columns = [requests[name].tolist() for name in ("request_id", "arrival_ns", "video")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["request_id", "arrival_ns", "video"])
        writer.writerows(zip(*columns, strict=True))


def read_schedule(folder: Path) -> tuple[dict[str, Any], NDArray[np.int64], list[str]]:
    """What a run played: its arguments, when each request arrived (ns from the start), and its video.

    Raises RunFolderError for a folder that does not say so.
    """
    try:
        args = _read_meta(folder).args
        with (folder / "schedule.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        arrivals_ns = np.array([int(row["arrival_ns"]) for row in rows], dtype=np.int64)
        return args, arrivals_ns, [row["video"] for row in rows]
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise RunFolderError(f"{folder}: no run to replay: it has no {name}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunFolderError(f"{folder}: a damaged run folder: {_reason(error)}") from None


def read(folder: str | Path) -> Run:
    """Read a run folder, RnB's or snuspl/rnb's. Raises RunFolderError for what is neither."""
    folder = Path(folder)
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: not a folder")
    try:
        if (folder / "run.json").exists():
            return _read_run(folder)
        if (folder / "log-meta.txt").exists():
            return _read_seed_run(folder)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RunFolderError(f"{folder}: a damaged run folder: {_reason(error)}") from error
    raise RunFolderError(f"{folder}: not a run folder: it has neither run.json nor log-meta.txt")


def _reason(error: Exception) -> str:
    """One line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"run.json: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return next(iter(str(error).splitlines()), type(error).__name__)


def _read_run(folder: Path) -> Run:
    meta = _read_meta(folder)
    table = pq.read_table(folder / "requests.parquet")
    columns = {name: table[name] for name in table.column_names}
    for name in (*REQUEST_COLUMNS, *(EVENT_PREFIX + event for event in meta.events)):
        if name not in columns:
            raise ValueError(f"requests.parquet has no column '{name}'")
    times = {
        event: columns[EVENT_PREFIX + event].fill_null(0).to_numpy().astype(np.int64) for event in meta.events
    }
    requests = {
        name: column.to_numpy() for name, column in columns.items() if not name.startswith(EVENT_PREFIX)
    }
    return Run.described(
        meta,
        folder=folder,
        times=times,
        requests=requests,
        **{name: _read_parquet(folder / f"{name}.parquet") for name in TABLES},
    )


def _read_parquet(path: Path) -> dict[str, NDArray[Any]] | None:
    if not path.exists():
        return None
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def _read_meta(folder: Path) -> RunMeta:
    data = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError("run.json holds no object")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        is_newer = isinstance(version, int) and version > SCHEMA_VERSION
        advice = "update this RnB" if is_newer else "read it with the RnB that wrote it, or run it again"
        raise RunFolderError(
            f"{folder}: run.json has schema version {version}, this RnB reads {SCHEMA_VERSION}; {advice}"
        )
    return RunMeta.model_validate(data)


def _read_seed_run(folder: Path) -> Run:
    args, start_ns, end_ns = _read_log_meta(folder / "log-meta.txt")
    events, times = _read_timings(folder)
    configs = sorted(path for path in folder.glob("*.json") if path.name not in OWN_NAMES)
    return Run(
        folder=folder,
        meta=None,
        args=args,
        config=json.loads(configs[0].read_text(encoding="utf-8")) if configs else None,
        start_ns=start_ns,
        end_ns=end_ns,
        events=events,
        times={event: times[:, index] for index, event in enumerate(events)},
        requests={
            "status": np.full(len(times), "finished", dtype=object),
            "is_warmup": np.zeros(len(times), dtype=bool),
        },
    )


def _read_log_meta(path: Path) -> tuple[dict[str, Any], int, int]:
    """The arguments, and the start and the end in epoch ns."""
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        start_ns, end_ns = map(_to_ns, lines[1].split())
    except (IndexError, ValueError):
        raise ValueError("log-meta.txt: its second line must be the start and the end in seconds") from None
    return parse_args_line(lines[0]), start_ns, end_ns


def _read_timings(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    """The events, and their times in epoch ns (num_requests, len(events)), in order of the first event."""
    events: list[str] = []
    rows: list[list[int]] = []
    for path in sorted(folder.glob("g*.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or not _TIMINGS_NAME.fullmatch(path.name):
            continue  # a replica of snuspl/rnb that served nothing leaves an empty file
        events = events or lines[0].split()
        if lines[0].split() != events:
            raise ValueError(f"{path.name} has other columns than the files before it")
        rows += [_parse_row(path, number, line, events) for number, line in enumerate(lines[1:], 2)]
    if not events:
        raise ValueError("it has no requests: no g<gpu>-r<replica>.txt with a line of event names")
    return events, np.array(sorted(rows), dtype=np.int64).reshape(-1, len(events))


def _parse_row(path: Path, number: int, line: str, events: Sequence[str]) -> list[int]:
    try:
        row = [_to_ns(text) for text in line.split()]
    except ValueError as error:
        raise ValueError(f"{path.name} line {number}: {error}") from None
    if len(row) != len(events):
        raise ValueError(f"{path.name} line {number}: {len(row)} values for {len(events)} events")
    return row


def _to_ns(seconds: str) -> int:
    whole, _, fraction = seconds.partition(".")
    return int(whole) * _NS_PER_S + int(fraction[:9].ljust(9, "0"))


def parse_args_line(line: str) -> dict[str, Any]:
    """The values of 'Args: Namespace(a=1, b='x')'. Raises ValueError for another line."""
    try:
        call = ast.parse(line.partition(":")[2].strip(), mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call):
        raise ValueError("log-meta.txt: its first line must be 'Args: Namespace(...)'")
    return {keyword.arg: _literal(keyword.value) for keyword in call.keywords if keyword.arg}


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
