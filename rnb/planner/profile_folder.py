"""A profile as a folder: durations.parquet (a row for each sample), requests.parquet (the rows of each
request) and profile.json (machine, code, inputs and runs: it is used again only while those are the same)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnb.contract.termination import UsageError
from rnb.planner.key import Key, Pictures
from rnb.planner.profile import Profile

DURATIONS, REQUESTS, FACTS = "durations.parquet", "requests.parquet", "profile.json"

COLUMNS: dict[str, Any] = {
    "step": object, "is_gpu": bool, "kind": object, "rows": np.int64, "workers": np.int64, "busy": np.float64,
    "pixels": np.int64, "codec": object, "crowd": np.float64,
}  # fmt: skip


def write(profile: Profile, folder: Path) -> None:
    """Raises UsageError."""
    keys = list(profile.durations)
    counts = [len(profile.durations[key]) for key in keys]
    columns = {
        name: np.repeat(np.array([getattr(key, name) for key in keys], dtype=kind), counts)
        for name, kind in COLUMNS.items()
    }
    columns["time_ns"] = np.concatenate([profile.durations[key] for key in keys])
    facts = {
        "origin": profile.origin,
        "runs": profile.runs,
        "peaks": [[*key, peak] for key, peak in profile.peaks.items()],
        "lateness_ns": profile.lateness_ns,
        "crowds": [[*key, count] for key, count in profile.crowds.items()],
        "gpu_bytes": profile.gpu_bytes,
        "demand": [[*key, cores] for key, cores in profile.demand.items()],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / DURATIONS)
        pq.write_table(pa.table(_requests(profile)), folder / REQUESTS)
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from None


def _requests(profile: Profile) -> dict[str, list[Any]]:
    pictures = profile.pictures or [Pictures()] * len(profile.rows)
    return {
        "rows": profile.rows,
        "pixels": [one.pixels for one in pictures],
        "codec": [one.codec for one in pictures],
    }


def read(folder: Path) -> Profile:
    """Raises UsageError."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        table = pq.read_table(folder / DURATIONS).to_pydict()
        requests = pq.read_table(folder / REQUESTS).to_pydict()
        values: dict[Key, list[int]] = {}
        for *key, time_ns in zip(*(table[name] for name in (*Key._fields, "time_ns")), strict=True):
            values.setdefault(Key(*key), []).append(time_ns)
        return Profile(
            durations={key: np.array(found, dtype=np.int64) for key, found in values.items()},
            rows=requests["rows"],
            pictures=[Pictures(*one) for one in zip(requests["pixels"], requests["codec"], strict=True)],
            peaks={(step, is_gpu, rows): peak for step, is_gpu, rows, peak in facts["peaks"]},
            lateness_ns=facts["lateness_ns"],
            crowds={(step, is_gpu): count for step, is_gpu, count in facts["crowds"]},
            gpu_bytes=facts["gpu_bytes"],
            demand={(step, is_gpu): cores for step, is_gpu, cores in facts["demand"]},
            origin=facts["origin"],
            runs=facts["runs"],
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise UsageError(f"{folder}: no profile, or a damaged one: {str(error).splitlines()[0]}") from None
