"""Whether two runs had the same inputs: a hash over the files that a run plays."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

MAX_BYTES_READ = 256 << 20
"""So much is hashed in a fraction of a second; of larger sets only parts of each file, or none, are read."""
EDGE_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 20


def describe_inputs(videos: Sequence[str], root: str) -> dict[str, Any]:
    """Number and bytes of the different files among `videos`, and a SHA-256 whose key says what it covers.

    `sha256_of_contents`: the names below `root` and all bytes; `sha256_of_edges`: names, sizes, the first and
    the last EDGE_BYTES of each; `sha256_of_sizes`: names and sizes. Neither the place of `root` nor the dates
    of files count, so a copy is the same.
    """
    return _describe(tuple(map(_stat, sorted(set(videos)))), f"{root.rstrip('/')}/")


class _File(NamedTuple):
    path: str
    size: int | None
    """None: it cannot be found, or is no file: a FIFO, say, which would be read for ever."""
    changed_ns: int


def _stat(path: str) -> _File:
    try:
        found = os.stat(path)
    except OSError:
        return _File(path, None, 0)
    if not stat.S_ISREG(found.st_mode):
        return _File(path, None, 0)
    return _File(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _describe(files: tuple[_File, ...], root: str) -> dict[str, Any]:
    # Cached, since a search for the peak plays the same files again and again.
    num_bytes = sum(file.size or 0 for file in files)
    covered, edge_bytes = _coverage(len(files), num_bytes)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path.removeprefix(root)}\0{file.size}\0".encode(errors="surrogateescape"))
        for part in _parts(file.path, edge_bytes) if file.size is not None else ():
            digest.update(part)
    return {
        "num_files": len(files),
        "num_missing_files": sum(file.size is None for file in files),
        "num_bytes": num_bytes,
        f"sha256_of_{covered}": digest.hexdigest(),
    }


def _coverage(num_files: int, num_bytes: int) -> tuple[str, int | None]:
    """What can be read of each file; None stands for all of it."""
    if num_bytes <= MAX_BYTES_READ:
        return "contents", None
    if num_files * 2 * EDGE_BYTES <= MAX_BYTES_READ:
        return "edges", EDGE_BYTES
    return "sizes", 0


def _parts(path: str, edge_bytes: int | None) -> Iterator[bytes]:
    if edge_bytes == 0:
        return
    try:
        with open(path, "rb") as file:
            yield from _all_of(file) if edge_bytes is None else _edges_of(file, edge_bytes)
    except OSError:
        return  # it has no size either, or the run will say what is wrong with it


def _all_of(file: BinaryIO) -> Iterator[bytes]:
    return iter(functools.partial(file.read, _CHUNK_BYTES), b"")


def _edges_of(file: BinaryIO, edge_bytes: int) -> Iterator[bytes]:
    yield file.read(edge_bytes)
    file.seek(max(0, os.fstat(file.fileno()).st_size - edge_bytes))
    yield file.read(edge_bytes)
