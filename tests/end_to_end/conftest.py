"""What all tests of whole runs use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Runs in a folder of the test's own; nothing of them may be left in shared memory or /tmp."""
    with Bench(tmp_path) as bench:
        yield bench
