"""What keeps tests apart: each sees what its own processes leave; what is costly is made once for all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support import called, odd_videos
from tests.support.leftovers import SHARED, SharedMemoryWatch, named_for, pids_with
from tests.support.made_once import made_once

MAP_A_FILE = """
import mmap, sys
with open(sys.argv[1], "wb+") as file:
    file.truncate(1)
    mapped = mmap.mmap(file.fileno(), 1)
print("mapped", flush=True)
sys.stdin.readline()
"""


@contextmanager
def process_that_maps(path: Path, **environment: str) -> Iterator[None]:
    command = [sys.executable, "-S", "-c", MAP_A_FILE, str(path)]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == b"mapped\n"
            yield
        finally:
            process.stdin.close()


@pytest.fixture
def shared() -> Iterator[list[Path]]:
    """Names in /dev/shm that nobody else uses."""
    paths = [Path(SHARED, f"isolation-{uuid.uuid4().hex}") for _ in range(2)]
    yield paths
    for path in paths:
        path.unlink(missing_ok=True)


def test_only_what_marked_processes_leave_is_seen(shared: list[Path]) -> None:
    mark = uuid.uuid4().hex
    watch = SharedMemoryWatch(lambda: pids_with(f"ISOLATION={mark}"), period_s=0.01)
    with process_that_maps(shared[0], ISOLATION=mark), process_that_maps(shared[1]):
        deadline = time.monotonic() + 20
        while shared[0].stat().st_ino not in watch.inodes:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert watch.end() == [str(shared[0])]


def test_what_a_called_run_leaves_is_told(shared: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(called, "nursery", lambda modules: None)
    monkeypatch.setattr(called, "PERIOD_S", 0.01)
    monkeypatch.setattr(called, "MOST_SECONDS", 0.1)

    def main(argv: Sequence[str]) -> int:
        with process_that_maps(Path(argv[0])):
            time.sleep(0.3)
        return len(argv)

    with process_that_maps(shared[1]):
        monkeypatch.setattr(called, "main", lambda argv: len(argv))
        assert called.called(["a", "b"], {}).status == 2
        monkeypatch.setattr(called, "main", main)
        with pytest.raises(AssertionError, match=f"left in shared memory: .*{shared[0].name}"):
            called.called([str(shared[0])], {})
    with ExitStack() as stack:
        monkeypatch.setattr(called, "main", lambda argv: stack.enter_context(process_that_maps(shared[0])))
        with pytest.raises(AssertionError, match="left behind: "):
            called.called([], {})


def test_the_pids_in_the_names_of_shared_files() -> None:
    names = ("torch_123_456_0", "cuda.shm.0.1f.1", "torch_x", "cuda.shm.0", "sem.mp-123")
    assert [named_for(name) for name in names] == [123, 31, None, None, None]


def test_what_is_made_once_is_whole_or_not_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    made: list[Path] = []

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ArithmeticError

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").touch()

    name = f"made-{uuid.uuid4().hex}"
    with pytest.raises(ArithmeticError):
        made_once(tmp_path_factory, name, fail)
    folders = {made_once(tmp_path_factory, name, make) for _ in range(2)}
    assert len(made) == len(folders) == 1
    assert [path.name for path in folders.pop().iterdir()] == ["file"]


def test_an_encoder_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    odd_videos.make(tmp_path, "av1")
    assert os.sched_getscheduler(0) == before
