"""Playing the load of an earlier run again: the same times, videos, warm-up and seed."""

from __future__ import annotations

import argparse
from pathlib import Path

from rnb.run_folder import RunFolderError, read_schedule
from rnb.schedule import LOAD_FLAGS, Schedule, ScheduleError
from rnb.videos import DEFAULT_FOLDER


def replay(args: argparse.Namespace) -> tuple[argparse.Namespace, Schedule]:
    """The schedule of the run folder `args.replay`, and `args` with the flags of its load.

    Raises RunFolderError for a folder without them, ScheduleError for other videos.
    """
    folder = Path(args.replay)
    played, arrivals_ns, videos = read_schedule(folder)
    if args.data not in (DEFAULT_FOLDER, played.get("data")):
        raise ScheduleError(f"--data {args.data}: --replay plays the videos of {folder}; leave it out")
    num_warmup = int(played.get("warmup", 0))
    if len(arrivals_ns) <= num_warmup:
        raise RunFolderError(f"{folder}: nothing to replay: it has {len(arrivals_ns)} requests")
    load = {name: played[name] for name in LOAD_FLAGS if name in played}
    load["videos"] = len(arrivals_ns) - num_warmup
    schedule = Schedule(arrivals_ns=arrivals_ns, num_warmup=num_warmup, videos=videos)
    return argparse.Namespace(**{**vars(args), **load}), schedule
