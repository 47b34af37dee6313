"""Profiles from what is there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.contract.termination import UsageError
from rnb.planner.key import Pictures
from rnb.planner.memory import PROFILE
from rnb.planner.profile import Profile
from rnb.planner.profile_folder import write
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
    assert (profile.lateness_ns, profile.rows, profile.origin["cpu"]) == (7, [1], "one")
    assert list(profile.demand.values()) == [0.5]
    assert len(profile.runs) == 2


def test_what_is_known_of_memory_pictures_and_inputs_is_joined(tmp_path: Path) -> None:
    few, more = kept(tmp_path / "few", 1.0), kept(tmp_path / "more", 1.0)
    few.peaks, more.peaks = {("a", True, 1): 50}, {("a", True, 1): 70, ("b", True, 1): 5}
    few.crowds, more.crowds = {("a", True): 4}, {("a", True): 2}
    few.gpu_bytes, more.gpu_bytes = 100, 80
    few.origin["inputs"], more.origin["inputs"] = {"3": {"num_files": 3}}, {"9": {"num_files": 9}}
    more.rows, more.pictures = [1, 2], [Pictures(640, "h264"), Pictures(1920)]
    for profile, name in ((few, "few"), (more, "more")):
        write(profile, tmp_path / name)
    joined = Profile()
    add_sources(joined, [str(tmp_path / "few"), str(tmp_path / "more")])
    assert joined.peaks == {("a", True, 1): 70, ("b", True, 1): 5}
    assert joined.crowds == {("a", True): 4}
    assert joined.gpu_bytes == 80
    assert (joined.rows, joined.pictures) == ([1, 2], [Pictures(640, "h264"), Pictures(1920)])
    assert set(joined.origin["inputs"]) == {"3", "9"}


def test_those_of_another_machine_are_not(tmp_path: Path) -> None:
    kept(tmp_path / "a", 1.0)
    kept(tmp_path / "b", 1.0, cpu="another")
    with pytest.raises(UsageError, match='b: cpu is "another", and in the profile "one"'):
        add_sources(Profile(), [str(tmp_path / "a"), str(tmp_path / "b")])
