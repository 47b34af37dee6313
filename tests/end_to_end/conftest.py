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
    assert _shared_files() <= before


def _shared_files() -> set[str]:
    found = {f"/dev/shm/{name}" for name in os.listdir("/dev/shm")}
    return found | {
        f"/tmp/{name}" for name in os.listdir("/tmp") if name.startswith(("pymp-", "torch_", "rnb"))
    }
