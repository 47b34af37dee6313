"""TFRecord files, and the index that says where each record begins.

    python -m utils.tfrecord FILE …    reads every record, names the corrupt ones, writes missing indices

A record is, little-endian: the length of its data (8 bytes), the masked CRC-32C of that (4), the data, and
the masked CRC-32C of the data (4). Source: TensorFlow, core/lib/io/record_writer.h. An index has a line
`offset size` for each record, the size with the 16 bytes around the data, as DALI's tfrecord2idx writes it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from utils.user_cache import user_cache

_HEAD, _SUM = struct.Struct("<QI"), struct.Struct("<I")
_NUM_LENGTH_BYTES = 8
FRAME_BYTES = _HEAD.size + _SUM.size
MAX_DATA_BYTES = 1 << 30
"""A longer record is taken for a corrupt one."""
_PLACE = re.compile(r"(.+)@(\d{1,19})\+(\d{1,19})", re.DOTALL)
_LINE = re.compile(r"(\d{1,19})[ \t]+(\d{1,19})")


class RecordError(ValueError):
    """A record that cannot be read; the message names it and says what is wrong."""


class Place(NamedTuple):
    """Where a record lies; as text `file@offset+size`."""

    path: str
    offset: int
    size: int
    """With its frame."""

    def __str__(self) -> str:
        return f"{self.path}@{self.offset}+{self.size}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """The place that a text names; None where it names none."""
        match = _PLACE.fullmatch(text)
        return cls(match[1], int(match[2]), int(match[3])) if match else None


def read_record(place: Place) -> bytes:
    """The data of a record. Raises RecordError for one that is corrupt, and OSError."""
    with open(place.path, "rb") as file:
        file.seek(place.offset)
        length = _length(file.read(_HEAD.size))
        if length is None:
            raise RecordError(f"{place}: corrupt record: its length is damaged, and so all behind it is lost")
        if length + FRAME_BYTES != place.size:
            raise RecordError(f"{place}: corrupt record: it is {length + FRAME_BYTES} bytes long")
        rest = file.read(length + _SUM.size)
    data = rest[:length]
    if len(rest) != length + _SUM.size or _SUM.unpack_from(rest, length)[0] != _masked_sum(data):
        raise RecordError(f"{place}: corrupt record: the checksum of its data is wrong")
    return data


def find_records(path: str) -> Iterator[Place]:
    """The places of all records, by their lengths alone. Raises OSError.

    Where a length is damaged the last place reaches to the end of the file, so that reading it tells.
    """
    with open(path, "rb") as file:
        end, offset = os.fstat(file.fileno()).st_size, 0
        while offset < end:
            file.seek(offset)
            length = _length(file.read(_HEAD.size))
            left = end - offset
            size = left if length is None else min(length + FRAME_BYTES, left)
            yield Place(path, offset, size)
            offset += size


def read_index(path: str) -> list[Place]:
    """The places of a file's records, from `path.idx`; it is written where it is missing.

    Where the file's folder cannot be written to, the index is in the user's cache. One that was named
    without the file's ending, `train.idx` of `train.tfrecord`, is taken too.

    Raises:
        ValueError: there is an index that is none of this file's.
        OSError: the file cannot be read.
    """
    beside, cached = Path(f"{path}.idx"), _cached_index(path)
    for index in (beside, Path(re.sub(r"\.\w+$", "", path) + ".idx"), cached):
        if index.exists():
            return _parse_index(index, path)
    places = list(find_records(path))
    for index in (beside, cached):
        with contextlib.suppress(OSError):
            _write_index(index, places)
            break
    return places


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """A file of these records. Raises OSError."""
    with path.open("wb") as file:
        for data in records:
            length = struct.pack("<Q", len(data))
            file.write(length + _SUM.pack(_masked_sum(length)) + data + _SUM.pack(_masked_sum(data)))


def _length(head: bytes) -> int | None:
    """The length of the data that a record's first bytes tell; None where they are damaged."""
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    is_whole = checksum == _masked_sum(head[:_NUM_LENGTH_BYTES]) and length <= MAX_DATA_BYTES
    return length if is_whole else None


def _masked_sum(data: bytes) -> int:
    """CRC-32C, turned by 15 bits and added to: a checksum over data that holds checksums is a weak one."""
    value: int = google_crc32c.value(data)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _cached_index(path: str) -> Path:
    """In the user's cache; the name depends on what the file is now."""
    status = os.stat(path)
    told = f"{os.path.abspath(path)}\n{status.st_size}\n{status.st_mtime_ns}"
    return user_cache() / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.idx"


def _parse_index(index: Path, path: str) -> list[Place]:
    end, places = os.stat(path).st_size, list[Place]()
    with index.open(encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, 1):
            match = _LINE.fullmatch(line.strip())
            place = Place(path, int(match[1]), int(match[2])) if match else None
            if place is None or place.offset + place.size > end:
                raise ValueError(
                    f"{index}: line {number} is no `offset size` of a record in {path}; delete the index,"
                    " and it is written anew"
                )
            places.append(place)
    return places


def _write_index(index: Path, places: Iterable[Place]) -> None:
    partial = index.with_name(f".{index.name}.{os.getpid()}.partial")
    index.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.write_text("".join(f"{place.offset} {place.size}\n" for place in places))
        partial.replace(index)
    finally:
        partial.unlink(missing_ok=True)


def check(path: str) -> list[str]:
    """What is wrong with a file, a line for each corrupt record. Raises as read_index does."""
    problems = []
    for place in read_index(path):
        try:
            read_record(place)
        except RecordError as error:
            problems.append(str(error))
    return problems


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.tfrecord", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    status = 0
    for path in parser.parse_args(argv).files:
        try:
            problems = check(path)
        except (ValueError, OSError) as error:
            print(f"tfrecord: {error}", file=sys.stderr)
            return 2
        print(*problems, f"{path}: {len(read_index(path))} records, {len(problems)} corrupt", sep="\n")
        status = status or int(bool(problems))
    return status


if __name__ == "__main__":
    sys.exit(main())
