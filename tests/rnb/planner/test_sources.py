"""Profiles from what is there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.contract.termination import UsageError
from rnb.planner.memory import PROFILE
from rnb.planner.profile import Profile, write
from rnb.planner.sources import add_sources
from tests.support.known_profiles import known_profile
from tests.support.known_times import spec_of, step

SPEC = spec_of(step("ChangeOne"))


def kept(folder: Path, *times_ms: float, cpu: str = "one") -> Profile:
    profile = known_profile(SPEC, {1: times_ms}, demand=0.5)
    profile.origin, profile.runs, profile.lateness_ns = {"cpu": cpu}, [str(folder)], 7
    write(profile, folder)
    return profile


def test_profiles_are_joined_once_each(tmp_path: Path) -> None:
    kept(tmp_path / "a", 1.0, 2.0)
    kept(tmp_path / "search" / PROFILE, 3.0)
    profile = Profile()
    for _ in range(2):
        add_sources(profile, [str(tmp_path / "a"), str(tmp_path / "search")])
    (values,) = profile.durations.values()
    assert (values / 1e6).tolist() == [1, 2, 3]
    assert (profile.lateness_ns, profile.rows, profile.origin) == (7, [1], {"cpu": "one"})
    assert list(profile.demand.values()) == [0.5]
    assert len(profile.runs) == 2


def test_those_of_another_machine_are_not(tmp_path: Path) -> None:
    kept(tmp_path / "a", 1.0)
    kept(tmp_path / "b", 1.0, cpu="another")
    with pytest.raises(UsageError, match='b: cpu is "another", and in the profile "one"'):
        add_sources(Profile(), [str(tmp_path / "a"), str(tmp_path / "b")])
