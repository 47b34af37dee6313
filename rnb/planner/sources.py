"""What a profile is made of that is there already: run folders, and folders of profiles or of searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from rnb.planner.memory import PROFILE
from rnb.planner.origin import merged
from rnb.planner.profile import Profile
from rnb.planner.profile_folder import FACTS, read
from rnb.record.run_folder import read as read_run

K = TypeVar("K")
V = TypeVar("V", int, float)


def add_sources(profile: Profile, folders: Sequence[str]) -> None:
    """Take their samples in, those that are not there yet. Raises UsageError, RunFolderError."""
    for name in folders:
        kept = [folder for folder in (Path(name), Path(name) / PROFILE) if (folder / FACTS).is_file()]
        if kept:
            _join(profile, read(kept[0]), name)
        elif name not in profile.runs:
            profile.add(read_run(name))


def _join(profile: Profile, other: Profile, name: str) -> None:
    """Take in what another profile has of other runs. Raises UsageError where it is of another machine."""
    if set(other.runs) <= set(profile.runs):
        return
    profile.check(other.origin, name)
    profile.origin = merged(profile.origin, other.origin)
    for key, values in other.durations.items():
        profile.durations[key] = np.concatenate([profile.durations.get(key, values[:0]), values])
    if len(other.rows) > len(profile.rows):
        profile.rows, profile.pictures = list(other.rows), list(other.pictures)
    profile.lateness_ns = profile.lateness_ns or other.lateness_ns
    profile.demand = _largest(profile.demand, other.demand)
    profile.peaks = _largest(profile.peaks, other.peaks)
    profile.crowds = _largest(profile.crowds, other.crowds)
    sizes = [size for size in (profile.gpu_bytes, other.gpu_bytes) if size is not None]
    profile.gpu_bytes = min(sizes, default=None)
    profile.runs += [run for run in other.runs if run not in profile.runs]


def _largest(one: Mapping[K, V], other: Mapping[K, V]) -> dict[K, V]:
    """Of each key that either has."""
    return {key: max(each[key] for each in (one, other) if key in each) for key in {**one, **other}}
