"""--trace: the trace is beside the run's other files, or why it is not is told."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rnb.record.run_folder import read
from rnb.show.trace import trace
from rnb.show.trace.observer import TraceObserver
from tests.support.sample_runs import write_run


def test_it_is_written_into_the_folder(tmp_path: Path) -> None:
    run, observer = read(write_run(tmp_path)), TraceObserver()
    observer.conclude(run)
    assert run.folder
    path = run.folder / trace.FILE_NAME
    assert gzip.decompress(path.read_bytes())
    assert observer.problem == ""
    assert observer.line.startswith("trace.json.gz: all 100 requests; ")


def test_of_a_longer_run_it_has_a_part(tmp_path: Path) -> None:
    folder = write_run(tmp_path, num_requests=100)
    path, sizes = folder / trace.FILE_NAME, list[int]()
    for most_requests in (10, 100):
        TraceObserver(most_requests).conclude(read(folder))
        sizes.append(len(gzip.decompress(path.read_bytes())))
    assert sizes[0] < sizes[1] / 3


def test_a_run_without_a_folder_or_a_start_has_none(tmp_path: Path) -> None:
    folder = write_run(tmp_path, start_epoch_ns=None)
    observer, in_memory = TraceObserver(), read(write_run(tmp_path))
    observer.conclude(read(folder))
    in_memory.folder = None
    observer.conclude(in_memory)
    assert (observer.line, observer.problem) == ("", "")
    assert not (folder / trace.FILE_NAME).exists()


def test_where_it_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, observer = read(write_run(tmp_path)), TraceObserver()
    run.folder = tmp_path / "gone"
    observer.conclude(run)
    path = tmp_path / "gone" / trace.FILE_NAME
    assert observer.problem == f"{path}: cannot be written: No such file or directory"
    assert observer.line == ""
