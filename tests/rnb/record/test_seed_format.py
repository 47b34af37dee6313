"""Folders of snuspl/rnb, and what RnB's own keep of that format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnb.contract.events import SENT, Event, EventKind
from rnb.record.run_folder import RunFolderError, read
from rnb.record.seed_format import parse_args_line
from tests.support.sample_runs import (
    CONFIG,
    EVENTS,
    SEED_EVENTS,
    SEED_TIMINGS,
    STAGES_MS,
    arguments,
    write_run,
    write_seed_run,
)


def refusal(folder: Path) -> str:
    with pytest.raises(RunFolderError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_seeds_files_alone_give_the_same_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path, num_requests=20)
    whole = read(folder)
    for name in ("run.json", "summary.json", "requests.parquet", "schedule.csv"):
        (folder / name).unlink()
    run = read(folder)
    assert run.meta.is_seed_format
    assert run.step_names == whole.step_names
    assert (run.args, run.config) == (whole.args, whole.config)
    assert run.seconds == pytest.approx(whole.seconds - STAGES_MS[0] / 1e3, abs=2e-6)  # first sent, not due
    assert run.events == EVENTS[1:]
    assert all(np.array_equal(run.times[event], whole.times[event]) for event in run.events)


def test_a_run_of_the_seed(tmp_path: Path) -> None:
    run = read(write_seed_run(tmp_path / "190701_022549-mi90-b1-v500-qs500-p0"))
    assert run.meta.is_seed_format
    assert run.args == vars(arguments())
    assert run.seconds == pytest.approx(1.501574)  # from the first request on, not from the start of the run
    assert run.events == SEED_EVENTS
    assert run.times[SENT].tolist() == [1561964948000000000, 1561964948090000000]
    assert run.times[Event(EventKind.FINISHED, 1)].tolist() == [1561964949411574000, 1561964949501574000]
    assert run.requests["status"].tolist() == ["finished", "finished"]


def test_the_replicas_of_a_seed_run_are_joined_in_order_of_sending(tmp_path: Path) -> None:
    header, first, second = SEED_TIMINGS.splitlines()
    files = {
        "g0-group0-0.txt": f"{header}\n{second}\n",
        "g1-group0-r1.txt": f"{header}\n{first}\n",
        "g2-r0.txt": "",
        "gpu-notes.txt": "not a log\n",
    }
    run = read(write_seed_run(tmp_path / "run", files))
    assert run.times[SENT].tolist() == [1561964948000000000, 1561964948090000000]


def test_a_seed_run_keeps_its_config(tmp_path: Path) -> None:
    folder = write_seed_run(tmp_path / "run")
    (folder / "r2p1d-whole.json").write_text(json.dumps(CONFIG))
    assert read(folder).config == CONFIG


def test_floats_as_later_upstream_writes_them(tmp_path: Path) -> None:
    run = read(
        write_seed_run(tmp_path / "run", {"g0-r0.txt": "a b-0 b-1\n1561964948.5 1561964949 1561964950.25\n"})
    )
    assert {event.name: times.tolist() for event, times in run.times.items()} == {
        "a": [1561964948500000000],
        "b-0": [1561964949000000000],
        "b-1": [1561964950250000000],
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "x"}, "no requests: no g<gpu>-r<replica>.txt"),
        ({"g0-r0.txt": "a b\n1.5\n"}, "g0-r0.txt line 2: 1 values for 2 events"),
        ({"g0-r0.txt": "a b\n1.5 soon\n"}, "g0-r0.txt line 2: invalid literal"),
        ({"g0-r0.txt": "a b\n", "g1-r0.txt": "a c\n"}, "g1-r0.txt has other columns"),
        ({"log-meta.txt": ""}, "its second line must be the start and the end"),
        ({"log-meta.txt": "x\n1 2\n"}, "its first line must be 'Args: Namespace(...)'"),
        ({"log-meta.txt": "Args: Namespace(\n1 2\n"}, "its first line must be 'Args: Namespace(...)'"),
    ],
)
def test_a_damaged_seed_run_is_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    assert message in refusal(write_seed_run(tmp_path / "run", files))


def test_an_args_line_is_read_as_python_prints_it() -> None:
    line = "Args: Namespace(a=1, b='x, (y)', c=None, d=0.5, e=[1, 'z'], f=\"it's\", g=PosixPath('p'))"
    assert parse_args_line(line) == {
        "a": 1,
        "b": "x, (y)",
        "c": None,
        "d": 0.5,
        "e": [1, "z"],
        "f": "it's",
        "g": "PosixPath('p')",
    }


def test_it_tells_how_the_run_ended_and_what_its_steps_were(tmp_path: Path) -> None:
    folder = write_seed_run(tmp_path / "run")
    meta = read(folder).meta
    assert (meta.termination_flag, meta.termination, meta.is_success) == (
        0,
        "TARGET_NUM_VIDEOS_REACHED",
        True,
    )
    assert meta.is_success
    assert (meta.step_names, meta.replicas, meta.provenance, meta.config_name) == ([], [], {}, "")
    (folder / "r2p1d-whole.json").write_text(json.dumps({"pipeline": CONFIG}))
    (folder / "log-meta.txt").write_text((folder / "log-meta.txt").read_text().replace("flag: 0", "flag: 2"))
    meta = read(folder).meta
    assert (meta.step_names, meta.config_name) == (["A", "B"], "r2p1d-whole.json")
    assert meta.termination == "FRAME_QUEUE_FULL"


@pytest.mark.parametrize("config", [3, {"steps": []}, ["a"], [{"gpus": [0]}]])
def test_a_config_of_another_shape_names_no_steps(tmp_path: Path, config: object) -> None:
    folder = write_seed_run(tmp_path / "run")
    (folder / "other.json").write_text(json.dumps(config))
    assert read(folder).step_names == []
