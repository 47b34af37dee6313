"""The made up driver, compiled once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.support import fake_driver


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    fake_driver.prepare(folder)
    return folder


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[ProcessPoolExecutor]:
    """A process that finds the made up driver where others find NVIDIA's."""
    with fake_driver.process_with_driver(folder) as pool:
        yield pool
