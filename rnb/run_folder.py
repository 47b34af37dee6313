"""The folder that a run leaves: this module writes it and reads it.

log-meta.txt          arguments, start and end, termination flag          } snuspl/rnb's files, kept
g<gpu>-r<replica>.txt timestamps of each request, per last-step replica    }
<config>.json         a copy of the pipeline's config                      }
run.json              everything about the run (RunMeta), versioned
requests.parquet      a row a request: outcome, replicas, timestamps in epoch ns
schedule.csv          when each request was to arrive, in ns from the start
summary.json          the statistics that the run printed, versioned
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
EVENT_PREFIX = "time_"
"""Of the timestamp columns in requests.parquet."""


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


@dataclass(kw_only=True)
class Run:
    """A run as read back. Timestamps are int64 epoch ns, 0 = not reached."""

    folder: Path
    meta: RunMeta | None
    """None for a folder in snuspl/rnb's own format."""
    args: dict[str, Any]
    config: Any
    seconds: float
    """From the start to the end."""
    events: list[str]
    times: dict[str, NDArray[np.int64]]
    requests: dict[str, NDArray[Any]]
    """Columns: request_id, video, status, reason, num_clips, label, score, replica<i>; the seed has fewer."""


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
            if not folder.is_dir():
                raise RunFolderError(f"--logs {logs}: not a folder") from None
        except OSError as error:
            raise RunFolderError(f"--logs {logs}: {error.strerror}") from None
        else:
            return folder
    raise RunFolderError(f"--logs {logs}: a thousand runs in this second")


def write(
    folder: Path, meta: RunMeta, times: NDArray[np.int64], requests: dict[str, Any], summary: dict[str, Any]
) -> None:
    """Write all files of a run. `times`: epoch ns (num_requests, len(meta.events)). Raises RunFolderError."""
    writers: dict[str, Callable[[Path], object]] = {
        "log-meta.txt": lambda path: path.write_text(_log_meta(meta)),
        meta.config_name: lambda path: path.write_text(json.dumps(meta.config, indent=2) + "\n"),
        "requests.parquet": lambda path: _write_parquet(path, meta, times, requests),
        "schedule.csv": lambda path: _write_schedule(path, meta, times, requests),
        "summary.json": lambda path: path.write_text(json.dumps(summary, indent=2) + "\n"),
        "run.json": lambda path: path.write_text(meta.model_dump_json(indent=2) + "\n"),
    }
    for replica in meta.replicas:
        if replica["step"] == len(meta.step_names) - 1:
            name = f"g{replica['gpu']}-r{replica['replica_on_gpu']}.txt"
            writers[name] = partial(_write_timings, meta, times, requests, replica["replica"])
    for name, writer in writers.items():
        _write_whole(folder / name, writer)


def _write_whole(path: Path, writer: Callable[[Path], object]) -> None:
    """A reader never sees half a file."""
    partial = path.with_name(path.name + ".partial")
    try:
        writer(partial)
        os.replace(partial, path)
    except OSError as error:
        raise RunFolderError(f"{path}: {error.strerror or error}") from None


def _log_meta(meta: RunMeta) -> str:
    start = meta.start_epoch_ns or meta.end_epoch_ns
    return (
        f"Args: {meta.args_line}\n{start / 1e9:f} {meta.end_epoch_ns / 1e9:f}\n"
        f"Termination flag: {meta.termination_flag}\n"
    )


def _write_timings(
    meta: RunMeta, times: NDArray[np.int64], requests: dict[str, Any], replica: int, path: Path
) -> None:
    """The seed's log: no 'scheduled' column, since its readers do not know it."""
    last = f"replica{len(meta.step_names) - 1}"
    rows = np.flatnonzero(
        (np.asarray(requests["status"]) == "finished") & (np.asarray(requests[last]) == replica)
    )
    columns = [index for index, event in enumerate(meta.events) if event != "scheduled"]
    seconds = times[rows][:, columns] / 1e9
    with path.open("w") as file:
        file.write(" ".join(meta.events[index] for index in columns) + "\n")
        for row in seconds:
            file.write(" ".join(f"{value:.9f}" for value in row) + "\n")


def _write_parquet(path: Path, meta: RunMeta, times: NDArray[np.int64], requests: dict[str, Any]) -> None:
    columns: dict[str, Any] = {name: pa.array(values) for name, values in requests.items()}
    for index, event in enumerate(meta.events):
        columns[EVENT_PREFIX + event] = pa.array(times[:, index], mask=times[:, index] == 0)
    pq.write_table(pa.table(columns), path)


def _write_schedule(path: Path, meta: RunMeta, times: NDArray[np.int64], requests: dict[str, Any]) -> None:
    offsets = np.asarray(requests["arrival_ns"])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["request_id", "arrival_ns", "video"])
        writer.writerows(zip(range(len(offsets)), offsets.tolist(), requests["video"], strict=True))


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
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise RunFolderError(f"{folder}: a damaged run folder: {str(error).splitlines()[0]}") from error
    raise RunFolderError(f"{folder}: not a run folder: it has neither run.json nor log-meta.txt")


def _read_run(folder: Path) -> Run:
    data = json.loads((folder / "run.json").read_text())
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        is_newer = isinstance(version, int) and version > SCHEMA_VERSION
        advice = "update this RnB" if is_newer else "read it with the RnB that wrote it, or run it again"
        raise RunFolderError(f"{folder}: schema version {version}, this RnB reads {SCHEMA_VERSION}; {advice}")
    meta = RunMeta.model_validate(data)
    table = pq.read_table(folder / "requests.parquet")
    columns = {name: table[name] for name in table.column_names}
    times = {
        event: columns[EVENT_PREFIX + event].fill_null(0).to_numpy().astype(np.int64) for event in meta.events
    }
    requests = {
        name: column.to_numpy() for name, column in columns.items() if not name.startswith(EVENT_PREFIX)
    }
    start = meta.start_epoch_ns or meta.end_epoch_ns
    return Run(
        folder=folder,
        meta=meta,
        args=meta.args,
        config=meta.config,
        seconds=(meta.end_epoch_ns - start) / 1e9,
        events=meta.events,
        times=times,
        requests=requests,
    )


def _read_seed_run(folder: Path) -> Run:
    lines = (folder / "log-meta.txt").read_text().splitlines()
    start, end = map(float, lines[1].split())
    rows: list[list[float]] = []
    events: list[str] = []
    for path in sorted(folder.glob("g*-*.txt")):
        header, *body = path.read_text().splitlines()
        if events and header.split() != events:
            raise ValueError(f"{path.name} has other columns than the files before it")
        events = header.split()
        rows += [[float(value) for value in line.split()] for line in body]
    if not events:
        raise ValueError("it has no g*-r*.txt")
    seconds = np.array(sorted(rows), dtype=np.float64).reshape(-1, len(events))
    times = {event: np.round(seconds[:, index] * 1e9).astype(np.int64) for index, event in enumerate(events)}
    configs = sorted(folder.glob("*.json"))
    return Run(
        folder=folder,
        meta=None,
        args=parse_args_line(lines[0]),
        config=json.loads(configs[0].read_text()) if configs else None,
        seconds=end - start,
        events=events,
        times=times,
        requests={"status": np.full(len(rows), "finished", dtype=object)},
    )


def parse_args_line(line: str) -> dict[str, str]:
    """The values of 'Args: Namespace(a=1, b='x')', as they are written."""
    pairs = re.findall(r"(\w+)=('[^']*'|[^,()]+)", line.partition("Namespace")[2])
    return {name: value.strip("'") for name, value in pairs}
