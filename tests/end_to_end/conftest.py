"""What all tests of whole runs use."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Runs in a folder of the test's own; nothing may be left in shared memory or /tmp afterwards."""
    before = _shared_files()
    yield Bench(tmp_path)
    left = _shared_files() - before
    # What a living process maps belongs to somebody else's run on this machine.
    mapped = _mapped_inodes()
    assert not {path for path in left if not _is_mapped_or_gone(path, mapped)}


def _shared_files() -> set[str]:
    found = {f"/dev/shm/{name}" for name in os.listdir("/dev/shm")}
    return found | {
        f"/tmp/{name}" for name in os.listdir("/tmp") if name.startswith(("pymp-", "torch_", "rnb"))
    }


def _mapped_inodes() -> set[int]:
    # By inode, since a semaphore is mapped under the name that it had before it got its own.
    inodes = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            inodes |= {int(line.split()[4]) for line in maps.read_text().splitlines() if "/dev/shm/" in line}
    return inodes


def _is_mapped_or_gone(path: str, mapped: set[int]) -> bool:
    try:
        return os.stat(path).st_ino in mapped
    except FileNotFoundError:
        return True
