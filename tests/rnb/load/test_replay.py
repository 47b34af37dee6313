"""Replaying a run: its schedule, videos, warm-up and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnb.load.arrivals import ScheduleError
from rnb.load.load import Load
from rnb.load.replay import replay
from rnb.record.run_folder import RunFolderError
from tests.support.sample_runs import GAP_MS, write_run, write_seed_run


def replaying(folder: Path, **changes: Any) -> Load:
    return Load(replay=str(folder), **changes)


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises((RunFolderError, ScheduleError)) as caught:
        replay(replaying(folder, **changes))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_the_load_is_that_of_the_run(tmp_path: Path) -> None:
    played = {"seed": 7, "warmup": 2, "arrivals": "constant", "data": "films", "clients": 3}
    folder = write_run(tmp_path, num_requests=12, flags=played)
    load, arrivals_ns, payloads = replay(replaying(folder, clients=2, data="films"))
    assert arrivals_ns.tolist() == [number * GAP_MS * 1_000_000 for number in range(12)]
    assert payloads == [f"videos/{number % 3}.mp4" for number in range(12)]
    assert (load.seed, load.warmup, load.arrivals, load.videos, load.data) == (7, 2, "constant", 10, "films")
    assert (load.clients, load.replay) == (2, str(folder))


def test_times_are_replayed_to_the_nanosecond(tmp_path: Path) -> None:
    arrivals_ns = [1, 10**15 + 1, 10**15 + 3]  # a float64 of seconds would round them
    folder = write_run(tmp_path, num_requests=3, columns={"arrival_ns": arrivals_ns})
    assert replay(replaying(folder))[1].tolist() == arrivals_ns


def test_other_videos_contradict_it(tmp_path: Path) -> None:
    folder = write_run(tmp_path, flags={"data": "films"})
    assert refusal(folder, data="shorts") == (
        f"--data shorts: --replay plays the videos of {folder}; leave it out"
    )


def test_what_cannot_be_replayed(tmp_path: Path) -> None:
    assert "no run to replay: it has no run.json" in refusal(tmp_path / "none")
    assert "no run to replay: it has no run.json" in refusal(write_seed_run(tmp_path / "seed"))
    folder = write_run(tmp_path)
    schedule = folder / "schedule.csv"
    lines = schedule.read_text().splitlines()
    for damaged in (
        ["request_id,arrival_ns,video", "0,soon,a.mp4"],
        ["request_id,video", "0,a.mp4"],
        ["a", "1,2"],
        ["request_id,arrival_ns,video", f"0,{10**20},a.mp4"],
        ["request_id,arrival_ns,video", "0,-5,a.mp4"],
        ["request_id,arrival_ns,video", "0,7,a.mp4", "1,6,a.mp4"],
    ):
        schedule.write_text("\n".join(damaged))
        assert "a damaged run folder: " in refusal(folder)
    schedule.write_text(lines[0])
    assert "nothing to replay: it has 0 requests" in refusal(folder)
    schedule.unlink()
    assert "no run to replay: it has no schedule.csv" in refusal(folder)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"warmup": "x"}, "a damaged run folder: run.json: args.warmup: input should be a valid integer"),
        ({"ramp": 7}, "a damaged run folder: run.json: args.ramp: input should be a valid string"),
        ({"warmup": -1}, "nothing to replay: it has 4 requests, -1 of them warm-up"),
        ({"warmup": 4}, "nothing to replay: it has 4 requests, 4 of them warm-up"),
    ],
)
def test_arguments_that_someone_has_edited(tmp_path: Path, flags: dict[str, Any], message: str) -> None:
    assert message in refusal(write_run(tmp_path, num_requests=4, flags=flags))
