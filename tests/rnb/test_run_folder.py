"""Run folders: what is written is read back, and what is not a run folder is refused in one line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rnb import run_folder
from rnb.analysis.summary import SUMMARY_VERSION
from rnb.run_folder import Run, RunFolderError, create, parse_args_line, read
from tests.support.sample_runs import (
    CONFIG,
    END_TO_END_MS,
    EVENTS,
    GAP_MS,
    SEED_EVENTS,
    SEED_TIMINGS,
    arguments,
    event_times,
    request_columns,
    write_run,
    write_seed_run,
)


def refusal(folder: Path) -> str:
    with pytest.raises(RunFolderError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def edit_json(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_the_folder_is_named_as_the_seed_names_it(tmp_path: Path) -> None:
    folder = create(tmp_path / "logs", arguments())
    assert re.fullmatch(r"\d{6}_\d{6}-mi90-b1-v500-qs500-p0", folder.name)
    assert folder.is_dir()
    assert create(tmp_path, arguments(per_gpu_queue=True, mean_interval_ms=0.5)).name.endswith(
        "-mi0.5-b1-v500-qs500-p1"
    )


def test_runs_of_the_same_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> StoppedClock:
            return cls(2019, 7, 1, 2, 25, 49)

    monkeypatch.setattr(run_folder, "datetime", StoppedClock)
    name = "190701_022549-mi90-b1-v500-qs500-p0"
    assert [create(tmp_path, arguments()).name for _ in range(3)] == [name, f"{name}-2", f"{name}-3"]


@pytest.mark.parametrize("kind", ["a file", "below a file", "a dangling link", "where nothing can be made"])
def test_a_place_that_cannot_hold_runs_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    logs = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "logs",
        "a dangling link": tmp_path / "link",
        "where nothing can be made": Path("/proc/rnb-logs"),
    }[kind]
    with pytest.raises(RunFolderError, match=f"^--logs {re.escape(str(logs))}: [^\n]+$"):
        create(logs, arguments())


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    folder = write_run(tmp_path, num_requests=20)
    run = read(folder)
    assert run.meta is not None
    assert run.args == vars(arguments())
    assert (run.config, run.events, run.seconds) == (CONFIG, EVENTS, 10.0)
    assert np.array_equal(np.stack([run.times[event] for event in EVENTS], axis=1), event_times(20))
    expected = request_columns(20)
    assert run.requests.keys() == expected.keys()
    for name, column in expected.items():
        assert np.array_equal(run.requests[name], column), name
        assert run.requests[name].dtype == column.dtype, name


def test_the_files_of_a_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "g0-r0.txt",
        "g0-r1.txt",
        "log-meta.txt",
        "r2p1d-whole.json",
        "requests.parquet",
        "run.json",
        "schedule.csv",
        "summary.json",
    ]
    assert json.loads((folder / "r2p1d-whole.json").read_text()) == CONFIG
    assert json.loads((folder / "run.json").read_text())["schema_version"] == run_folder.SCHEMA_VERSION
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["schema_version"], summary["num_finished"]) == (SUMMARY_VERSION, 100)


def test_the_seeds_files_are_kept(tmp_path: Path) -> None:
    folder = write_run(tmp_path, num_requests=3)
    assert (folder / "log-meta.txt").read_text() == (
        "Args: Namespace(batch_size=1, config_file_path='config/r2p1d-whole.json', mean_interval_ms=90,"
        " per_gpu_queue=False, queue_size=500, videos=500)\n"
        "1795000000.123457 1795000010.123457\n"
        "Termination flag: 0\n"
    )
    header, *rows = (folder / "g0-r0.txt").read_text().splitlines()
    assert header.split() == SEED_EVENTS
    assert len(rows) == 2
    assert rows[0].split()[:2] == ["1795000000.123956789", "1795000000.124956789"]
    assert len((folder / "g0-r1.txt").read_text().splitlines()) == 2


def test_the_seeds_files_alone_give_the_same_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path, num_requests=20)
    whole = read(folder)
    for name in ("run.json", "summary.json", "requests.parquet", "schedule.csv"):
        (folder / name).unlink()
    run = read(folder)
    assert run.meta is None
    assert (run.args, run.config) == (whole.args, whole.config)
    assert run.seconds == pytest.approx(whole.seconds, abs=2e-6)
    assert run.events == EVENTS[1:]
    assert all(np.array_equal(run.times[event], whole.times[event]) for event in run.events)


def test_the_schedule_lists_every_request(tmp_path: Path) -> None:
    lines = (write_run(tmp_path, num_requests=2) / "schedule.csv").read_text().splitlines()
    assert lines == ["request_id,arrival_ns,video", "0,0,videos/0.mp4", "1,10000000,videos/1.mp4"]


def test_a_request_that_did_not_finish_is_only_in_the_table(tmp_path: Path) -> None:
    columns = request_columns(3)
    columns["status"][1], columns["reason"][1] = "failed", "1.mp4: not a video, 'moov' is missing"
    times = event_times(3)
    folder = write_run(tmp_path, num_requests=3, columns=columns)
    times[1, 3:] = 0
    run = read(folder)
    run.times["inference0_start"] = times[:, 3]
    run_folder.write(run, {})
    again = read(folder)
    assert again.requests["status"].tolist() == ["finished", "failed", "finished"]
    assert again.requests["reason"][1] == "1.mp4: not a video, 'moov' is missing"
    assert again.times["inference0_start"].tolist() == [times[0, 3], 0, times[2, 3]]
    assert pq.read_table(folder / "requests.parquet")["time_inference0_start"].null_count == 1
    assert len((folder / "g0-r1.txt").read_text().splitlines()) == 1


def test_a_run_that_never_started(tmp_path: Path) -> None:
    run = read(write_run(tmp_path, start_epoch_ns=None, is_success=False, message="step 0.0 failed"))
    assert run.seconds == 0
    assert run.meta is not None
    assert (run.meta.is_success, run.meta.message) == (False, "step 0.0 failed")


def test_names_that_are_not_utf8_are_kept_readable(tmp_path: Path) -> None:
    columns = request_columns(2)
    columns["video"][0] = os.fsdecode(b"caf\xe9.mp4")
    run = read(write_run(tmp_path, num_requests=2, columns=columns, argv=[os.fsdecode(b"--data=\xe9")]))
    assert run.requests["video"].tolist() == ["caf\\udce9.mp4", "videos/1.mp4"]


@pytest.mark.parametrize("name", run_folder.OWN_NAMES)
def test_a_config_named_like_a_file_of_the_run_replaces_none(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path, flags={"config_file_path": f"config/{name}"})
    assert json.loads((folder / f"config-{name}").read_text()) == CONFIG
    assert read(folder).meta is not None


@contextlib.contextmanager
def no_file_over(num_bytes: int) -> Iterator[None]:
    """What a write meets on a full disk, some way into the file: the kernel refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("name", "limit_bytes"), [("log-meta.txt", 100), ("requests.parquet", 2000)])
def test_a_write_that_fails_is_one_error_and_leaves_no_half_file(
    tmp_path: Path, name: str, limit_bytes: int
) -> None:
    folder = write_run(tmp_path)
    run = read(folder)
    before = (folder / name).read_bytes()
    with no_file_over(limit_bytes), pytest.raises(RunFolderError) as caught:
        run_folder.write(run, {})
    assert str(caught.value) == f"{folder / name}: cannot be written: File too large"
    assert (folder / name).read_bytes() == before
    assert not list(folder.glob("*.partial"))


def test_a_folder_that_went_away_is_one_error(tmp_path: Path) -> None:
    run = read(write_run(tmp_path))
    run.folder = tmp_path / "gone"
    with pytest.raises(RunFolderError, match=r"log-meta\.txt: cannot be written: No such file or directory$"):
        run_folder.write(run, {})


def test_a_run_of_the_seed(tmp_path: Path) -> None:
    run = read(write_seed_run(tmp_path / "190701_022549-mi90-b1-v500-qs500-p0"))
    assert run.meta is None
    assert run.args == vars(arguments())
    assert run.seconds == pytest.approx(44.249694)
    assert run.events == SEED_EVENTS
    assert run.times["enqueue_filename"].tolist() == [1561964948000000000, 1561964948090000000]
    assert run.times["inference1_finish"].tolist() == [1561964949411574000, 1561964949501574000]
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
    assert run.times["enqueue_filename"].tolist() == [1561964948000000000, 1561964948090000000]


def test_a_seed_run_keeps_its_config(tmp_path: Path) -> None:
    folder = write_seed_run(tmp_path / "run")
    (folder / "r2p1d-whole.json").write_text(json.dumps(CONFIG))
    assert read(folder).config == CONFIG


def test_floats_as_later_upstream_writes_them(tmp_path: Path) -> None:
    run = read(
        write_seed_run(tmp_path / "run", {"g0-r0.txt": "a b-0 b-1\n1561964948.5 1561964949 1561964950.25\n"})
    )
    assert {event: times.tolist() for event, times in run.times.items()} == {
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


def test_what_is_not_a_run_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").endswith(": not a folder")
    assert "neither run.json nor log-meta.txt" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("version", "advice"), [(99, "update this RnB"), (1, "run it again"), (None, "run it again")]
)
def test_another_schema_version_is_refused(tmp_path: Path, version: int | None, advice: str) -> None:
    folder = write_run(tmp_path)
    edit_json(folder / "run.json", lambda data: data.update(schema_version=version))
    message = refusal(folder)
    assert f"schema version {version}, this RnB reads {run_folder.SCHEMA_VERSION}" in message
    assert advice in message


def break_json(folder: Path) -> None:
    (folder / "run.json").write_text("{")


def replace_json(folder: Path) -> None:
    (folder / "run.json").write_text("[]")


def drop_key(folder: Path) -> None:
    edit_json(folder / "run.json", lambda data: data.pop("events"))


def drop_table(folder: Path) -> None:
    (folder / "requests.parquet").unlink()


def cut_table(folder: Path) -> None:
    path = folder / "requests.parquet"
    path.write_bytes(path.read_bytes()[:100])


def drop_column(folder: Path) -> None:
    path = folder / "requests.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["label"]), path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_json, "Expecting"),
        (replace_json, "run.json holds no object"),
        (drop_key, "run.json: events: Field required"),
        (drop_table, "requests.parquet"),
        (cut_table, "Parquet"),
        (drop_column, "requests.parquet has no column 'label'"),
    ],
)
def test_a_damaged_run_is_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    folder = write_run(tmp_path)
    damage(folder)
    refused = refusal(folder)
    assert ": a damaged run folder: " in refused
    assert message in refused


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


def warmed_up(tmp_path: Path, **columns: object) -> Run:
    """100 requests of which the first 40 are to warm up."""
    return read(write_run(tmp_path, columns={"is_warmup": np.arange(100) < 40, **columns}))


def test_the_measured_phase_follows_the_warm_up(tmp_path: Path) -> None:
    run = warmed_up(tmp_path)
    scheduled = run.times["scheduled"]
    assert run.num_warmup == 40
    assert run.is_measured.tolist() == [False] * 40 + [True] * 60
    assert run.window_ns == (scheduled[40], scheduled[99] + END_TO_END_MS * 1_000_000)
    assert run.seconds == pytest.approx((59 * GAP_MS + END_TO_END_MS) / 1e3)


def test_where_all_are_due_at_once_the_measured_phase_follows_as_many_as_warm_up(tmp_path: Path) -> None:
    run = warmed_up(tmp_path)
    run.times["scheduled"][:] = run.times["scheduled"][0]
    ends = np.sort(run.ends_ns)
    assert run.window_ns == (ends[39], ends[99])


def test_the_measured_phase_of_a_stopped_run_ends_with_the_run(tmp_path: Path) -> None:
    status = np.array(["finished"] * 99 + ["unfinished"], dtype=object)
    run = warmed_up(tmp_path, status=status)
    assert run.window_ns == (run.times["scheduled"][40], run.end_ns)


def test_telemetry_is_written_and_read(tmp_path: Path) -> None:
    run = read(write_run(tmp_path))
    assert run.telemetry is None
    run.telemetry = {"time_ns": np.arange(3), "cpu.percent": np.array([1.5, np.nan, 99.0])}
    run_folder.write(run, {})
    again = read(run.folder)
    assert again.telemetry is not None
    assert again.telemetry["time_ns"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(again.telemetry["cpu.percent"], [1.5, np.nan, 99.0])
