"""Run folders: what is written is read back, and what is not a run folder is refused in one line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnb.analysis.summary import SUMMARY_VERSION
from rnb.contract.events import Event, EventKind
from rnb.record import run_folder
from rnb.record.meta import SCHEMA_VERSION
from rnb.record.run_folder import RunFolderError, create, read, read_schedule, write
from tests.support.sample_runs import (
    CONFIG,
    EVENTS,
    SEED_EVENTS,
    arguments,
    event_times,
    request_columns,
    write_run,
)


def refusal(folder: Path) -> str:
    with pytest.raises(RunFolderError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_the_folder_is_named_as_the_seed_names_it(tmp_path: Path) -> None:
    folder = create(tmp_path / "logs", vars(arguments()))
    assert re.fullmatch(r"\d{6}_\d{6}-mi90-b1-v500-qs500-p0", folder.name)
    assert folder.is_dir()
    assert create(tmp_path, vars(arguments(per_gpu_queue=True, mean_interval_ms=0.5))).name.endswith(
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
    assert [create(tmp_path, vars(arguments())).name for _ in range(3)] == [name, f"{name}-2", f"{name}-3"]


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
        create(logs, vars(arguments()))


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    folder = write_run(tmp_path, num_requests=20)
    run = read(folder)
    assert run.args == vars(arguments())
    assert (run.config, run.events, run.seconds) == (CONFIG, EVENTS, 0.206)
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
    assert json.loads((folder / "run.json").read_text())["schema_version"] == SCHEMA_VERSION
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
    assert header.split() == [event.name for event in SEED_EVENTS]
    assert len(rows) == 2
    assert rows[0].split()[:2] == ["1795000000.123956789", "1795000000.124956789"]
    assert len((folder / "g0-r1.txt").read_text().splitlines()) == 2


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
    run.times[Event(EventKind.STARTED, 0)] = times[:, 3]
    write(run, folder)
    again = read(folder)
    assert again.requests["status"].tolist() == ["finished", "failed", "finished"]
    assert again.requests["reason"][1] == "1.mp4: not a video, 'moov' is missing"
    assert again.times[Event(EventKind.STARTED, 0)].tolist() == [times[0, 3], 0, times[2, 3]]
    assert pq.read_table(folder / "requests.parquet")["time_inference0_start"].null_count == 1
    assert len((folder / "g0-r1.txt").read_text().splitlines()) == 1


def test_a_run_that_never_started(tmp_path: Path) -> None:
    run = read(write_run(tmp_path, start_epoch_ns=None, is_success=False, message="step 0.0 failed"))
    assert run.seconds == 0
    assert (run.meta.is_success, run.meta.message) == (False, "step 0.0 failed")


def test_names_that_are_not_utf8_are_kept_readable(tmp_path: Path) -> None:
    columns = request_columns(2)
    columns["video"][0] = os.fsdecode(b"caf\xe9.mp4")
    run = read(write_run(tmp_path, num_requests=2, columns=columns, argv=[os.fsdecode(b"--data=\xe9")]))
    assert run.requests["video"].tolist() == ["caf\\udce9.mp4", "videos/1.mp4"]


def test_the_schedule_names_the_files_themselves(tmp_path: Path) -> None:
    columns = request_columns(2)
    columns["video"][:] = [os.fsdecode(b"caf\xe9.mp4"), "a\\udce9.mp4"]
    _, _, videos = read_schedule(write_run(tmp_path, num_requests=2, columns=columns))
    assert [os.fsencode(video) for video in videos] == [b"caf\xe9.mp4", b"a\\udce9.mp4"]


def test_no_file_of_pythons_is_left_to_arrows_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that they close while the process exits aborts it, now and then."""
    folder, given, made = write_run(tmp_path), list[object](), pq.ParquetFile

    def note(source: object, *more: object, **others: object) -> object:
        given.append(source)
        return made(source, *more, **others)

    monkeypatch.setattr(pq, "ParquetFile", note)
    read(folder)
    assert given
    assert all(isinstance(source, pa.OSFile) for source in given)


@pytest.mark.parametrize(
    "name", [*run_folder.OWN_NAMES, "telemetry.parquet", "g-1-r0.txt", "report.html", "trace.json.gz"]
)
def test_a_config_named_like_a_file_of_the_run_replaces_none(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path, flags={"config_file_path": f"config/{name}"})
    assert json.loads((folder / f"config-{name}").read_text()) == CONFIG
    assert not read(folder).meta.is_seed_format


@pytest.mark.parametrize("name", ["lo:gs", "file:x", "s3:", os.fsdecode(b"lo\xffgs")])
def test_a_folder_named_like_an_address_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = read(write_run(Path(name), num_requests=3))
    assert run.requests["request_id"].tolist() == [0, 1, 2]


def test_of_a_config_with_a_very_long_name_the_end_is_kept(tmp_path: Path) -> None:
    folder = write_run(tmp_path, flags={"config_file_path": f"{'é' * 121}.json"})
    (copy,) = (path for path in folder.glob("*.json") if path.name not in run_folder.OWN_NAMES)
    assert json.loads(copy.read_text()) == CONFIG
    assert len(os.fsencode(copy.name)) == 200


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
        write(run, folder)
    assert f"{folder / name}: cannot be written: File too large" in str(caught.value).split("; ")
    assert (folder / name).read_bytes() == before
    assert not list(folder.glob("*.partial"))


def test_what_cannot_be_written_does_not_stop_the_rest(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    run = read(folder)
    run.meta.message = "written again"
    run.tables = {"load": {"value": np.random.default_rng(0).random(50_000)}}
    with no_file_over(50_000), pytest.raises(RunFolderError) as caught:
        write(run, folder)
    assert str(caught.value) == f"{folder / 'load.parquet'}: cannot be written: File too large"
    again = read(folder)
    assert (again.meta.message, again.tables) == ("written again", {})


def test_without_its_requests_a_folder_is_no_run(tmp_path: Path) -> None:
    run = read(write_run(tmp_path / "logs"))
    (tmp_path / "requests.parquet").mkdir()
    with pytest.raises(RunFolderError, match=r"requests\.parquet: cannot be written: Is a directory$"):
        write(run, tmp_path)
    assert not (tmp_path / "run.json").exists()
    assert (tmp_path / "log-meta.txt").exists()


def test_a_folder_that_went_away_is_one_error(tmp_path: Path) -> None:
    run = read(write_run(tmp_path))
    with pytest.raises(RunFolderError, match=r"log-meta\.txt: cannot be written: No such file"):
        write(run, tmp_path / "gone")


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
    assert f"schema version {version}, this RnB reads {SCHEMA_VERSION}" in message
    assert advice in message


def break_json(folder: Path) -> None:
    (folder / "run.json").write_text("{")


def replace_json(folder: Path) -> None:
    (folder / "run.json").write_text("[]")


def drop_key(folder: Path) -> None:
    edit_json(folder / "run.json", lambda data: data.pop("events"))


def break_event(folder: Path) -> None:
    edit_json(folder / "run.json", lambda data: data.update(events=[["scheduled"]]))


def break_replica(folder: Path) -> None:
    edit_json(folder / "run.json", lambda data: data["replicas"][0].update(step="x"))


def break_bound(folder: Path) -> None:
    edit_json(folder / "run.json", lambda data: data["args"].update(slo=[1]))


def break_provenance(folder: Path) -> None:
    edit_json(folder / "run.json", lambda data: data["provenance"].update(inputs=3))


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
        (break_event, "run.json: events.0: "),
        (break_replica, "run.json: replicas.0.step: Input should be a valid integer"),
        (break_bound, "run.json: args.slo: Input should be a valid number"),
        (break_provenance, "run.json: provenance.inputs: Input should be"),
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


def test_any_table_is_written_and_read(tmp_path: Path) -> None:
    telemetry = {"time_ns": np.arange(3), "cpu.percent": np.array([1.5, np.nan, 99.0])}
    load = {"kind": np.array(["a", "b"], dtype=object)}
    folder = write_run(tmp_path, data={"tables": {"telemetry": telemetry, "load": load}})
    assert (folder / "load.parquet").exists()
    tables = read(folder).tables
    assert tables.keys() == {"telemetry", "load"}
    assert tables["telemetry"]["time_ns"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(tables["telemetry"]["cpu.percent"], [1.5, np.nan, 99.0])
    assert tables["load"]["kind"].tolist() == ["a", "b"]


def test_without_a_table_there_is_none(tmp_path: Path) -> None:
    assert read(write_run(tmp_path)).tables == {}


def test_results_that_are_no_classes_are_written_and_read(tmp_path: Path) -> None:
    results = {0: {"boxes": [[1, 2.5], []]}, 2: b"\x00\xff", 7: None}
    kind = "rnb.contract.result.JsonResult"
    run = read(write_run(tmp_path, data={"results": results}, result_kind=kind))
    assert (run.results, run.meta.result_kind) == (results, kind)


FACES = {0: {"name": "ada", "box": [1, 2.5]}, 3: {"name": "bob", "box": []}}


def test_pandas_reads_results(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_json(write_run(tmp_path, data={"results": FACES}) / "results.jsonl", lines=True)
    assert dict(zip(frame["request_id"], frame["result"], strict=True)) == FACES


def test_duckdb_reads_results_beside_requests(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    folder = write_run(tmp_path, data={"results": FACES})
    tables = f"'{folder}/results.jsonl' join '{folder}/requests.parquet' using (request_id)"
    rows = duckdb.sql(f"select request_id, result.name from {tables} order by 1").fetchall()
    assert rows == [(0, "ada"), (3, "bob")]


def test_jq_reads_results(tmp_path: Path) -> None:
    if (jq := shutil.which("jq")) is None:
        pytest.skip("no jq")
    results = write_run(tmp_path, data={"results": FACES}) / "results.jsonl"
    command = [jq, "-c", "select(.request_id == 3) | .result", str(results)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == FACES[3]


def test_a_damaged_line_of_results_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path, data={"results": {0: 1}})
    (folder / "results.jsonl").write_text('{"request_id": 0, "result": 1}\n{"request_id": 1}\n')
    assert "results.jsonl line 2: no result" in refusal(folder)


def test_a_run_json_from_before_the_newer_fields_is_read(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    edit_json(folder / "run.json", lambda data: [data.pop(name) for name in ("result_kind", "full_queue")])
    meta = read(folder).meta
    assert (meta.result_kind, meta.full_queue, meta.is_seed_format) == (None, None, False)


def test_an_event_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    edit_json(folder / "run.json", lambda data: data.update(events=["scheduled", "lunch"]))
    assert "run.json: events.1: Value error, 'lunch' is no event of a run" in refusal(folder)
