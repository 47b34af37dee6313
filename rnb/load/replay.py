"""Playing the load of an earlier run again: the same times, videos, warm-up and seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from rnb.load.arrivals import ScheduleError
from rnb.load.load import REPLAYED, Load
from rnb.load.videos import DEFAULT_FOLDER
from rnb.record.run_folder import RunFolderError, read_schedule


def replay(load: Load) -> tuple[Load, NDArray[np.int64], list[str]]:
    """The load with what the run folder `load.replay` says of it; when each request arrived, and its payload.

    Raises RunFolderError for a folder without them, ScheduleError for other videos.
    """
    folder = Path(load.replay or "")
    played, arrivals_ns, payloads = read_schedule(folder)
    if load.data not in (DEFAULT_FOLDER, played.get("data")):
        raise ScheduleError(f"--data {load.data}: --replay plays the videos of {folder}; leave it out")
    known: dict[str, Any] = {name: played[name] for name in REPLAYED if name in played}
    try:
        found = replace(TypeAdapter(Load).validate_python(known), replay=load.replay, clients=load.clients)
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"run.json: args.{first['loc'][0]}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise RunFolderError(f"{folder}: a damaged run folder: {reason}") from None
    if not 0 <= found.warmup < len(arrivals_ns):
        raise RunFolderError(
            f"{folder}: nothing to replay: it has {len(arrivals_ns)} requests, {found.warmup} of them warm-up"
        )
    return replace(found, videos=len(arrivals_ns) - found.warmup), arrivals_ns, payloads
