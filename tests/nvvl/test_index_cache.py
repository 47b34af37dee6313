"""Indexes are kept within a number of bytes; those on disk are believed for the same file and code alone."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import tracemalloc
from pathlib import Path

import pytest
import torch

from nvvl import RnBLoader, index_cache, indexing
from nvvl.errors import VideoError
from nvvl.index import VideoIndex
from nvvl.index_cache import SUFFIX, IndexCache, IndexFolder, IndexKey
from nvvl.indexing import forget_indexes, index_of, whole_index_of
from nvvl.mp4_index import index_from_tables
from nvvl.video_file import VideoFile
from tests.support.videos import write_video


def key_of(path: Path, *, decode_all: bool = False) -> IndexKey:
    return IndexKey.of(str(path), conceal=False, decode_all=decode_all)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    forget_indexes()
    return write_video(tmp_path / "a.mp4", num_frames=30)


def index_for(path: Path, folder: IndexFolder | None = None) -> VideoIndex:
    with VideoFile(str(path)) as file:
        return index_of(file, folder)


@pytest.fixture
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_made", lambda file, decode_all: pytest.fail("it is read off the file"))


def test_those_used_last_stay_in_memory(video: Path) -> None:
    index, keys = index_for(video), [dataclasses.replace(key_of(video), inode=number) for number in range(4)]
    cache = IndexCache(max_bytes=2 * index.num_bytes)
    for key in keys[:2]:
        cache.put(key, index)
    cache.get(keys[0])
    cache.put(keys[2], index)
    assert [cache.get(key) is not None for key in keys] == [True, False, True, False]
    cache.put(keys[2], index)
    assert cache.get(keys[0]) is not None, "counted once"
    cache.clear()
    assert cache.get(keys[0]) is None


@pytest.mark.parametrize("num_frames", [2, 300])
def test_no_more_memory_is_used_than_is_counted(tmp_path: Path, num_frames: int) -> None:
    path = write_video(tmp_path / "a.mp4", num_frames=num_frames)
    key, cache = key_of(path), IndexCache(1 << 30)
    counted = 0
    tracemalloc.start()
    try:
        for number in range(50):
            index = index_from_tables(str(path))
            assert index is not None
            counted += index.num_bytes
            cache.put(dataclasses.replace(key, path=f"{path}{number}"), index)
            del index
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used <= counted < 3 * used


@pytest.mark.parametrize(
    "name", ["b_frames", "hevc", "vp8", "transport_stream", "mpeg4_avi", "rgb", "edit_list"]
)
def test_what_comes_back_from_disk_is_what_went_there(
    odd_files: dict[str, Path], tmp_path: Path, name: str
) -> None:
    path, folder = odd_files[name], IndexFolder(str(tmp_path))
    for decode_all in (False, True):
        with VideoFile(str(path)) as file:
            index = whole_index_of(file) if decode_all else index_of(file)
        index = dataclasses.replace(index, notes=("a note",), damage=index.starts)
        folder.put(key_of(path, decode_all=decode_all), index)
        again = folder.get(key_of(path, decode_all=decode_all))
        assert again == dataclasses.replace(index, filename=str(path))
        assert again.plan([3]) == index.plan([3])


@pytest.mark.usefixtures("no_indexing")
def test_a_file_whose_index_is_on_disk_is_not_read(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = IndexFolder(str(tmp_path / "indexes"))
    index = index_from_tables(str(video))
    assert index is not None
    folder.put(key_of(video), index)
    assert index_for(video, folder) == index
    monkeypatch.chdir(video.parent)
    forget_indexes()
    assert index_for(Path(video.name), folder).filename == video.name


def test_another_state_of_a_file_has_another_index(video: Path, tmp_path: Path) -> None:
    folder = IndexFolder(str(tmp_path / "indexes"))
    assert index_for(video, folder).num_frames == 30
    write_video(video, num_frames=12)
    assert index_for(video, folder).num_frames == 12
    for name in ("path", "num_bytes", "modified_ns", "inode", "conceal", "decode_all"):
        key = key_of(video)
        other: object = "/b.mp4" if name == "path" else getattr(key, name) + 1
        assert folder.get(dataclasses.replace(key, **{name: other})) is None, name  # type: ignore[arg-type]


def test_what_other_code_has_written_is_ignored(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = IndexFolder(str(tmp_path / "indexes"))
    index_for(video, folder)
    assert folder.get(key_of(video)) is not None
    monkeypatch.setattr(index_cache, "_code", lambda: "other code")
    assert folder.get(key_of(video)) is None


def test_damaged_and_foreign_files_are_ignored_and_replaced(video: Path, tmp_path: Path) -> None:
    folder = IndexFolder(str(tmp_path / "indexes"))
    index = index_for(video, folder)
    [path] = (tmp_path / "indexes").glob(f"*{SUFFIX}")
    content = path.read_bytes()
    for place in (0, 20, 60, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert folder.get(key_of(video)) is None, place
    for damaged in (b"", content[:50], content[:-1], b"x" * 200, content + b"x"):
        path.write_bytes(damaged)
        assert folder.get(key_of(video)) is None
    path.unlink()
    path.mkdir()
    forget_indexes()
    assert index_for(video, folder) == index
    path.rmdir()
    forget_indexes()
    index_for(video, folder)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path], "no drafts are left"


def use_at_once(video: str, folder: str) -> int:
    kept = IndexFolder(folder)
    index = index_from_tables(video)
    assert index is not None
    key = IndexKey.of(video, conceal=False, decode_all=False)
    num_read = 0
    for _ in range(200):
        kept.put(key, index)
        num_read += kept.get(key) == index
    return num_read


@pytest.mark.processes
def test_several_processes_write_at_once(video: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(use_at_once, [(str(video), str(tmp_path / "indexes"))] * 3) == [200] * 3
    assert len(list((tmp_path / "indexes").iterdir())) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"index_cache: .*/file/indexes cannot be made: Not a directory"):
        IndexFolder(str(tmp_path / "file" / "indexes"))


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_where_nothing_can_be_written_the_video_is_read_again(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """On a read-only disk not even what is not there can be removed."""
    folder = IndexFolder(str(tmp_path / "indexes"))

    def refuse(path: Path, *args: object, **more: object) -> None:
        raise OSError(error, os.strerror(error), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    assert index_for(video, folder).num_frames == 30


def test_a_folder_whose_place_a_file_has_taken(video: Path, tmp_path: Path) -> None:
    folder = IndexFolder(str(tmp_path / "indexes"))
    (tmp_path / "indexes").rmdir()
    (tmp_path / "indexes").touch()
    assert index_for(video, folder).num_frames == 30


def test_a_missing_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="cannot be opened: No such file"):
        key_of(tmp_path / "none.mp4")


def test_the_loader_uses_the_folder(video: Path, tmp_path: Path) -> None:
    out = torch.empty(30, 3, 1, 48, 64, dtype=torch.uint8)
    with RnBLoader(64, 48, 1, -1, index_cache=str(tmp_path / "indexes")) as loader:
        loader.decode_into(video, out)
    assert len(list((tmp_path / "indexes").iterdir())) == 1
