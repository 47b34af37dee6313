"""Same inputs, same hash, wherever they lie; any other byte, name or file, another one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rnb.observe import fingerprint as input_set
from rnb.observe.fingerprint import describe_inputs


def make(root: Path, files: dict[str, bytes]) -> list[str]:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return [str(root / name) for name in files]


def describe(root: Path, **files: bytes) -> dict[str, Any]:
    return describe_inputs(make(root, files), str(root))


def test_a_copy_played_in_another_order_is_the_same_set(tmp_path: Path) -> None:
    files = {"walk/1.mp4": b"one", "run/2.mp4": b"two!"}
    here = make(tmp_path / "a", files)
    there = make(tmp_path / "b", files)
    os.utime(there[0], (1, 1))
    described = describe_inputs([*here, *here], str(tmp_path / "a"))
    assert described == describe_inputs(there[::-1], f"{tmp_path / 'b'}/")
    assert {**described, "sha256_of_contents": ""} == {
        "num_files": 2,
        "num_missing_files": 0,
        "num_bytes": 7,
        "sha256_of_contents": "",
    }


def test_what_differs_shows(tmp_path: Path) -> None:
    sets = [
        describe(tmp_path / "a", x=b"one", y=b"two"),
        describe(tmp_path / "b", x=b"one", y=b"twO"),
        describe(tmp_path / "c", x=b"one", z=b"two"),
        describe(tmp_path / "d", x=b"onet", y=b"wo"),
        describe(tmp_path / "e", x=b"one"),
    ]
    assert len({described["sha256_of_contents"] for described in sets}) == len(sets)


def test_a_file_that_changes_between_two_runs(tmp_path: Path) -> None:
    before = describe(tmp_path, x=b"one")
    assert describe(tmp_path, x=b"One!") != before


def test_files_that_are_not_there_are_counted(tmp_path: Path) -> None:
    described = describe_inputs(["camera 7", *make(tmp_path, {"x": b"one"})], str(tmp_path))
    assert (described["num_files"], described["num_missing_files"], described["num_bytes"]) == (2, 1, 3)


@pytest.mark.parametrize(
    ("max_bytes", "key", "sees"),
    [
        (100, "sha256_of_contents", {"edge", "middle"}),
        (8, "sha256_of_edges", {"edge"}),
        (7, "sha256_of_sizes", set()),
    ],
)
def test_of_a_large_set_less_is_read_and_the_key_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, max_bytes: int, key: str, sees: set[str]
) -> None:
    monkeypatch.setattr(input_set, "MAX_BYTES_READ", max_bytes)
    monkeypatch.setattr(input_set, "EDGE_BYTES", 4)
    original = describe(tmp_path / "a", x=b"head......tail")[key]
    changed = {
        "edge": describe(tmp_path / "b", x=b"head......tall")[key],
        "middle": describe(tmp_path / "c", x=b"head.!....tail")[key],
    }
    assert {part for part, value in changed.items() if value != original} == sees
    assert describe(tmp_path / "d", x=b"longer head tail")[key] != original


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    paths = [str(tmp_path / name) for name in ("fifo", "zeros")]
    assert describe_inputs(paths, str(tmp_path))["num_missing_files"] == 2
