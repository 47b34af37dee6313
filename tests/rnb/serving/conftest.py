"""Servers that several files of tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import Served, serving


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a file, a link to it, and one that leads out."""
    folder = tmp_path_factory.mktemp("served") / "data"
    (folder / "label").mkdir(parents=True)
    (folder / "label" / "film.mp4").write_bytes(b"x")
    (folder / "inside").symlink_to(folder / "label" / "film.mp4")
    outside = folder.parent / "secret.mp4"
    outside.write_bytes(b"secret")
    (folder / "outside").symlink_to(outside)
    return folder


@pytest.fixture(scope="session")
def served(data_folder: Path) -> Iterator[Served]:
    """The scripted pipeline; its results are JSON."""
    with serving(data=str(data_folder), shared_memory=True, max_body_mb=1, max_pixels=1_000_000) as server:
        yield server


@pytest.fixture(scope="session")
def classifying() -> Iterator[Served]:
    """The same with classes as results."""
    with serving(interface={"gives_classes": True, "extensions": [".jpg", ".png"]}) as server:
        yield server


@pytest.fixture(scope="session")
def stateful() -> Iterator[Served]:
    """The same with a step that keeps a state for each sequence."""
    with serving(is_stateful=True) as server:
        yield server
