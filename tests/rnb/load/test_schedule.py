"""Schedules: the arrivals and the payloads that a load asks for, and what the load leaves open."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.contract.termination import UsageError
from rnb.load.arrivals import ScheduleError
from rnb.load.load import Load
from rnb.load.schedule import make_schedule
from tests.support.sample_runs import GAP_MS, write_run


def arrivals_of(load: Load) -> NDArray[np.int64]:
    return make_schedule(load, ["a.mp4"])[1].arrivals_ns


def traced(path: str, **changes: Any) -> Load:
    """A load whose times a file has, with nothing said of how many there are."""
    open_fields: dict[str, Any] = {"mean_interval_ms": None, "videos": None}
    return Load(arrivals="trace", arrivals_file=path, **{**open_fields, **changes})


def write(folder: Path, text: str) -> str:
    path = folder / "times.csv"
    path.write_text(text)
    return str(path)


def test_a_poisson_schedule_is_what_it_always_was() -> None:
    assert arrivals_of(Load(videos=3)).tolist() == [67_993_190, 169_952_901, 171_933_567]


def test_the_warm_up_comes_before_the_videos_to_measure() -> None:
    _, schedule = make_schedule(Load(videos=50, warmup=7), ["a.mp4"])
    assert (len(schedule), schedule.num_warmup) == (57, 7)
    assert (schedule.arrivals_ns[:50] == arrivals_of(Load(videos=50))).all()


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"videos": 3}, [1, 2, 3]),
        ({"videos": 3, "warmup": 1}, [1, 2, 3, 4]),
        ({"duration": 2.5}, [1, 2]),
        ({"duration": 2.5, "warmup": 2}, [1, 2, 3, 4]),
        ({"warmup": 2}, [1, 2, 3, 4, 5]),
    ],
)
def test_how_much_of_a_trace_is_played(tmp_path: Path, changes: dict[str, Any], seconds: list[int]) -> None:
    path = write(tmp_path, "1\n2\n3\n4\n5\n")
    assert (arrivals_of(traced(path, **changes)) / 1e9).tolist() == seconds


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"videos": 6}, "it has 5 times; --warmup 0 and -v 6 need 6"),
        ({"warmup": 5}, "no request to measure: 5 arrive, and --warmup takes 5"),
        ({"warmup": 9}, "no request to measure: 5 arrive, and --warmup takes 9"),
        (
            {"duration": 0.5},
            "no request to measure: 0 arrive within --duration 0.5 s, and --warmup takes 0",
        ),
        ({"warmup": 9, "duration": 1}, "5 arrive within --duration 1 s, and --warmup takes 9"),
    ],
)
def test_a_trace_with_too_few_requests(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path, "1\n2\n3\n4\n5\n")
    with pytest.raises(ScheduleError) as caught:
        arrivals_of(traced(path, **changes))
    assert message in str(caught.value)


def test_what_the_schedule_decides_is_in_the_settled_load(tmp_path: Path) -> None:
    load = traced(write(tmp_path, "0.5\n1\n3\n4\n"), warmup=1)
    settled, _ = make_schedule(load, ["a.mp4"])
    assert (settled.videos, settled.mean_interval_ms) == (3, 1000)
    assert isinstance(settled.mean_interval_ms, int)  # as a whole number on the command line is
    assert load.videos is None  # whoever searches for a limit makes other schedules of the same load


def test_what_the_load_says_stays() -> None:
    load = Load(videos=5, mean_interval_ms=3)
    assert make_schedule(load, ["a.mp4"])[0] == load


@pytest.mark.parametrize("root", [["b", "a", "c"], itertools.cycle(["b", "a", "c"])])
def test_payloads_are_taken_in_turn_and_the_different_ones_kept_once(root: Any) -> None:
    _, schedule = make_schedule(Load(videos=7), root)
    assert list(schedule.payloads) == ["b", "a", "c"]
    assert schedule.payload_of_each() == ["b", "a", "c", "b", "a", "c", "b"]


def test_payloads_that_come_in_no_turn_keep_their_order() -> None:
    _, schedule = make_schedule(Load(videos=5), iter(["a", "b", "b", "a", "c", "never asked for"]))
    assert schedule.payload_of_each() == ["a", "b", "b", "a", "c"]


def test_no_more_payloads_are_asked_for_than_there_are_requests() -> None:
    _, schedule = make_schedule(Load(videos=2), ["a", "b", "c"])
    assert list(schedule.payloads) == ["a", "b"]


def test_no_payload_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^builtins.list gives no videos$"):
        make_schedule(Load(videos=2), [])


def test_an_iterator_that_fails_in_its_own_way_is_one_line() -> None:
    def videos() -> Iterator[str]:
        raise LookupError("No video available.\nAt all.")
        yield ""

    with pytest.raises(UsageError, match=r"^the list of videos: LookupError: No video available\.$"):
        make_schedule(Load(videos=5, mean_interval_ms=0), videos())


def test_paths_of_another_type_are_texts() -> None:
    _, schedule = make_schedule(Load(videos=1, mean_interval_ms=0), [Path("a.mp4")])  # type: ignore[list-item]
    assert schedule.payloads == ["a.mp4"]


def test_a_failing_iterator_is_one_line() -> None:
    class Broken:
        def __iter__(self) -> Iterator[str]:
            raise ValueError("films: not a folder of videos")

    with pytest.raises(UsageError, match=r"^films: not a folder of videos$"):
        make_schedule(Load(videos=2), Broken())


def test_a_replay_has_the_times_and_payloads_of_the_run_and_asks_for_no_others(tmp_path: Path) -> None:
    folder = write_run(tmp_path, num_requests=12, flags={"warmup": 2})

    class Unasked:
        def __iter__(self) -> Iterator[str]:
            raise AssertionError("the run's own videos are played")

    load, schedule = make_schedule(Load(replay=str(folder)), Unasked())
    assert schedule.arrivals_ns.tolist() == [number * GAP_MS * 1_000_000 for number in range(12)]
    assert list(schedule.payloads) == [f"videos/{number}.mp4" for number in range(3)]
    assert schedule.payload_of_each() == [f"videos/{number % 3}.mp4" for number in range(12)]
    assert (schedule.num_warmup, load.videos, load.warmup) == (2, 10, 2)
