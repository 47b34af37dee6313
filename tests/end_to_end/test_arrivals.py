"""Loads of whole runs: what plays when, from one client or several, and the same once more."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnb.command_line.benchmark import main
from rnb.command_line.flags import parse_args, spec_of
from rnb.contract.events import DUE, SENT
from rnb.load.arrivals import ArrivalProcess
from rnb.record.run import Run
from rnb.record.run_folder import read
from rnb.spec import plan_of, schedule_of
from tests.support.running import ENDED_WELL, Bench, tiny
from tests.support.tiny_steps import expected_label

PIPELINE = [tiny("Load"), tiny("Classify")]
LOAD = [
    "--arrivals",
    "gamma",
    "--burstiness",
    "0.5",
    "-mi",
    "1.5",
    "-v",
    "60",
    "--warmup",
    "20",
    "--seed",
    "9",
]


def run(bench: Bench, *flags: str) -> Run:
    finished = bench.call(PIPELINE, *flags)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    return read(finished.folder)


def test_several_clients_play_one_schedule_and_a_replay_plays_it_again(bench: Bench) -> None:
    first = run(bench, *LOAD, "--clients", "3")
    expected = ArrivalProcess(process="gamma", mean_interval_ms=1.5, seed=9, burstiness=0.5).draw(80)
    assert (first.requests["arrival_ns"] == expected).all()
    assert first.requests["is_warmup"].tolist() == [True] * 20 + [False] * 60
    assert first.requests["label"].tolist() == [expected_label(request) for request in range(80)]
    due_ns, sent_ns = first.times[DUE], first.times[SENT]
    assert (np.diff(due_ns) == np.diff(expected)).all()
    assert (sent_ns >= due_ns).all()
    assert (np.diff(sent_ns.reshape(-1)[::3]) > 0).all()  # those of one client, in order

    again = run(bench, "--replay", str(first.folder))
    for name in ("request_id", "arrival_ns", "video", "is_warmup", "label"):
        assert (again.requests[name] == first.requests[name]).all()
    schedules = [(one.folder / "schedule.csv").read_bytes() for one in (first, again) if one.folder]
    assert schedules[0] == schedules[1]
    assert {name for name in first.args if first.args[name] != again.args[name]} == {"replay", "clients"}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"{number}.mp4").touch()
    return tmp_path


def flags_for(folder: Path, *flags: str) -> list[str]:
    config = folder / "pipeline.json"
    config.write_text(json.dumps(PIPELINE))
    return ["-c", str(config), "--data", str(folder), "--device", "cpu", *flags]


def test_a_duration_decides_how_many_videos_play(videos: Path) -> None:
    asked = spec_of(parse_args(flags_for(videos, "--duration", "2", "-mi", "10", "--arrivals", "constant")))
    spec, schedule = schedule_of(asked)
    assert (len(schedule), spec.load.videos) == (200, 200)
    assert (schedule.arrivals_ns == np.arange(1, 201) * 10_000_000).all()


def test_a_queue_holds_all_requests_that_come_at_once(videos: Path) -> None:
    asked = spec_of(parse_args(flags_for(videos, "-mi", "0", "-v", "30", "--warmup", "12", "-qs", "5")))
    spec, schedule = schedule_of(asked)
    plan = plan_of(spec, num_requests=len(schedule))
    assert [queue.capacity for queue in plan.queues] == [42, 42]


def test_the_plan_names_the_clients(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags_for(videos, "--clients", "2", "--check")) == 0
    out = capsys.readouterr().out
    assert out.startswith("processes: 1 driver, 2 clients, 2 runners\n")
    assert "  filename queue: 500 messages, 2 writers, 1 readers\n" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--duration 5 -v 100", "--duration: it says how many requests there are; leave out -v"),
        ("--duration 5 -mi 0", "--duration: with -mi 0 all requests arrive at once; say with -v how many"),
        ("--duration 0", "argument --duration: 0: must be more than 0"),
        ("--ramp 1:5:3 -mi 100", "--ramp: it sets the rate; leave out -mi"),
        ("--ramp 1:5", "argument --ramp: 1:5: must be START:END:SECONDS, as 10:100:30"),
        ("--burstiness 2", "--burstiness: only for --arrivals gamma, not poisson"),
        ("--arrivals gamma --burstiness 0", "argument --burstiness: 0: must be more than 0"),
        ("--arrivals uniform", "argument --arrivals: invalid choice: 'uniform' (choose from "),
        ("--arrivals trace", "--arrivals trace: needs --arrivals-file FILE with the times"),
        ("--arrivals-file a.csv", "--arrivals-file: only for --arrivals trace, not poisson"),
        (
            "--arrivals trace --arrivals-file a.csv -mi 3 --ramp 1:2:3",
            "--arrivals-file: it says when requests arrive; leave out --ramp, -mi",
        ),
        (
            "--replay logs/a -v 2000 --seed 0 --warmup 0",
            "--replay: the run says which requests arrive when; leave out --seed, --warmup, -v",
        ),
        ("--clients 0", "argument --clients: 0: must be at least 1"),
    ],
)
def test_flags_that_contradict_each_other(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(flags.split())
    assert caught.value.code == 2
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line.startswith(f"benchmark.py: error: {message}")


def test_a_bad_trace_is_one_line_and_status_2(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = videos / "times.csv"
    trace.write_text("seconds\n2\n1\n")
    assert main(flags_for(videos, "--arrivals", "trace", "--arrivals-file", str(trace))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    rule = "1: times must ascend; before it is 2"
    assert line == f"benchmark.py: error: --arrivals-file {trace} line 3: {rule}"
