"""The files that snuspl/rnb leaves, which RnB writes too: log-meta.txt and g<gpu>-r<replica>.txt.

log-meta.txt          arguments, start and end in epoch seconds, termination flag; then the averages
                      that it prints
g<gpu>-r<replica>.txt timestamps of each request, per replica of the last step;
                      later snuspl/rnb calls it g<gpu>-group<group>-<replica>.txt
<config>.json         a copy of the pipeline's config
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import Event, EventKind
from rnb.contract.termination import Termination
from rnb.record.meta import RunMeta
from rnb.record.run import Run, Times

META_NAME = "log-meta.txt"
EVENTS = frozenset({EventKind.SENT, EventKind.TAKEN, EventKind.STARTED, EventKind.FINISHED})
"""What its files tell of; its readers know no others."""

_NS_PER_S = 1_000_000_000
_ROWS_AT_ONCE = 65_536
_TIMINGS_NAME = re.compile(r"g-?\d+(-group\d+)?-r?\d+\.txt")
_FLAG = re.compile(r"Termination flag: (-?\d+)")


def timings_name(gpu: int, replica: int) -> str:
    return f"g{gpu}-r{replica}.txt"


def log_meta(meta: RunMeta) -> str:
    """The text of log-meta.txt."""
    start_s, end_s = meta.began_epoch_ns / 1e9, meta.end_epoch_ns / 1e9
    return f"Args: {meta.args_line}\n{start_s:f} {end_s:f}\nTermination flag: {meta.termination_flag}\n"


def write_timings(run: Run, rows: NDArray[np.intp], path: Path) -> None:
    """The timestamps of these requests. Raises OSError."""
    events = [event for event in run.events if event.kind in EVENTS]
    with path.open("w", encoding="utf-8") as file:
        file.write(" ".join(event.name for event in events) + "\n")
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            file.writelines(_as_seconds(np.stack([run.times[event][some] for event in events], axis=1)))


def _as_seconds(times: Times) -> Iterator[str]:
    """Lines of epoch seconds, to the nanosecond: a float64 would round them to 238 ns."""
    line = " ".join(["%d.%09d"] * times.shape[1]) + "\n"
    parts = np.stack(np.divmod(times, _NS_PER_S), axis=2).reshape(len(times), -1)
    return (line % tuple(row) for row in parts.tolist())


def read_seed_run(folder: Path, *, config: Path | None) -> Run:
    """A run that left nothing but these files. Raises OSError, and ValueError for damaged ones."""
    meta = _read_meta(folder / META_NAME, config)
    times = _read_timings(folder)
    meta.events = list(times)
    num_requests = len(next(iter(times.values())))
    return Run(
        meta=meta,
        folder=folder,
        times=times,
        requests={
            "status": np.full(num_requests, "finished", dtype=object),
            "is_warmup": np.zeros(num_requests, dtype=bool),
        },
    )


def _read_meta(path: Path, config_path: Path | None) -> RunMeta:
    """All but the events."""
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        start_ns, end_ns = map(_to_ns, lines[1].split())
    except (IndexError, ValueError):
        raise ValueError(f"{META_NAME}: its second line must be the start and the end in seconds") from None
    config = None if config_path is None else json.loads(config_path.read_text(encoding="utf-8"))
    flag = _termination(lines[2:])
    return RunMeta(
        is_seed_format=True,
        argv=[],
        args=parse_args_line(lines[0]),
        args_line=lines[0].partition(":")[2].strip(),
        config_name="" if config_path is None else config_path.name,
        config=config,
        start_epoch_ns=start_ns,
        end_epoch_ns=end_ns,
        termination_flag=flag,
        termination=flag.name,
        is_success=True,
        message="",
        device_mode="",
        mps="",
        events=[],
        step_names=_step_names(config),
        replicas=[],
        provenance={},
    )


def _termination(lines: Sequence[str]) -> Termination:
    found = [match[1] for line in lines if (match := _FLAG.fullmatch(line))]
    try:
        return Termination(int(found[0]))
    except (IndexError, ValueError):
        return Termination.UNSET


def _step_names(config: Any) -> list[str]:
    """The classes of the steps; none of a config that does not look like one."""
    try:
        steps = config["pipeline"] if isinstance(config, dict) else config
        return [step["model"].rpartition(".")[2] for step in steps]
    except (TypeError, KeyError, AttributeError):
        return []


def _read_timings(folder: Path) -> dict[Event, Times]:
    """The times in epoch ns, of all replicas together, in order of the first event."""
    header: list[str] = []
    rows: list[list[int]] = []
    for path in sorted(folder.glob("g*.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or not _TIMINGS_NAME.fullmatch(path.name):
            continue  # a replica of snuspl/rnb that served nothing leaves an empty file
        header = header or lines[0].split()
        if lines[0].split() != header:
            raise ValueError(f"{path.name} has other columns than the files before it")
        rows += [_parse_row(path, number, line, header) for number, line in enumerate(lines[1:], 2)]
    if not header:
        raise ValueError("it has no requests: no g<gpu>-r<replica>.txt with a line of event names")
    times = np.array(sorted(rows), dtype=np.int64).reshape(-1, len(header))
    return {Event.parse_any(name): times[:, index] for index, name in enumerate(header)}


def _parse_row(path: Path, number: int, line: str, header: Sequence[str]) -> list[int]:
    try:
        row = [_to_ns(text) for text in line.split()]
    except ValueError as error:
        raise ValueError(f"{path.name} line {number}: {error}") from None
    if len(row) != len(header):
        raise ValueError(f"{path.name} line {number}: {len(row)} values for {len(header)} events")
    return row


def _to_ns(seconds: str) -> int:
    whole, _, fraction = seconds.partition(".")
    return int(whole) * _NS_PER_S + int(fraction[:9].ljust(9, "0"))


def namespace_text(flags: dict[str, Any]) -> str:
    """Flags as snuspl/rnb writes them, who prints argparse's namespace."""
    return f"Namespace({', '.join(f'{name}={value!r}' for name, value in flags.items())})"


def parse_args_line(line: str) -> dict[str, Any]:
    """The values of 'Args: Namespace(a=1, b='x')'. Raises ValueError for another line."""
    try:
        call = ast.parse(line.partition(":")[2].strip(), mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call):
        raise ValueError(f"{META_NAME}: its first line must be 'Args: Namespace(...)'")
    return {keyword.arg: _literal(keyword.value) for keyword in call.keywords if keyword.arg}


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
