"""Indexes that are kept: in memory, up to a number of bytes, and on disk, in a folder that several processes
may share and that may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
import struct
import sys
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from nvvl.bitstream import NalFormat
from nvvl.decoder_setup import DecoderSetup
from nvvl.errors import VideoError
from nvvl.index import Packets, StreamInfo, VideoIndex
from nvvl.picture import Color, Orientation

MAGIC = b"RnBindex"
SUFFIX = ".rnb-index"
DIGEST_BYTES = 32
PACKET_COLUMNS = tuple(field.name for field in fields(Packets))
FRAME_COLUMNS = ("order", "frame_of_packet", "packet_of_frame", "unreferenced", "starts", "damage")
FACTS = ("num_frames", "counted", "as_stored", "num_sure")


@dataclass(frozen=True)
class IndexKey:
    """Which state of which file, and how it was read: all that an index depends on but the code."""

    path: str
    num_bytes: int
    modified_ns: int
    inode: int
    conceal: bool
    decode_all: bool

    @classmethod
    def of(cls, filename: str, *, conceal: bool, decode_all: bool) -> IndexKey:
        """Raises VideoError where there is no such file."""
        try:
            status = os.stat(filename)
        except OSError as error:
            raise VideoError(filename, f"cannot be opened: {error.strerror}") from error
        path = os.path.abspath(filename)
        return cls(path, status.st_size, status.st_mtime_ns, status.st_ino, conceal, decode_all)

    @contextlib.contextmanager
    def held(self, filename: str) -> Iterator[None]:
        """What is read of the file inside is of this state, or VideoError is raised."""
        try:
            yield
        finally:
            if IndexKey.of(filename, conceal=self.conceal, decode_all=self.decode_all) != self:
                raise VideoError(filename, "was changed while it was played")


class IndexCache:
    """The indexes used last, shared by all threads of the process; the last one stays, whatever its size."""

    def __init__(self, max_bytes: int) -> None:
        self._indexes: OrderedDict[IndexKey, VideoIndex] = OrderedDict()
        self._lock = threading.Lock()
        self._max_bytes, self._num_bytes = max_bytes, 0

    def get(self, key: IndexKey) -> VideoIndex | None:
        with self._lock:
            if key in self._indexes:
                self._indexes.move_to_end(key)
            return self._indexes.get(key)

    def put(self, key: IndexKey, index: VideoIndex) -> None:
        with self._lock:
            if key not in self._indexes:
                self._indexes[key] = index
                self._num_bytes += index.num_bytes
            while self._num_bytes > self._max_bytes and len(self._indexes) > 1:
                self._num_bytes -= self._indexes.popitem(last=False)[1].num_bytes

    def clear(self) -> None:
        with self._lock:
            self._indexes.clear()
            self._num_bytes = 0


class IndexFolder:
    """Indexes on disk. What cannot be read, or is of another file or other code, counts as absent.

    Raises:
        ValueError: there is no such folder, and it cannot be made.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"index_cache: {folder} cannot be made: {error.strerror}") from error
        self._numbers = itertools.count()

    def get(self, key: IndexKey) -> VideoIndex | None:
        try:
            return _unpacked(self._path(key).read_bytes(), key)
        except (OSError, ValueError, LookupError, TypeError, struct.error):
            return None

    def put(self, key: IndexKey, index: VideoIndex) -> None:
        """Write it at once or not at all: with a full or read-only disk, it is read off the video again."""
        path = self._path(key)
        draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}-{next(self._numbers)}")
        try:
            draft.write_bytes(_packed(index, key))
            draft.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()

    def _path(self, key: IndexKey) -> Path:
        return self._folder / (hashlib.sha256(_name(key).encode()).hexdigest() + SUFFIX)


@functools.cache
def _code() -> str:
    """What indexes depend on besides the file: the sources of this package, and FFmpeg."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    libraries = sorted(av.library_versions.items())
    return f"{digest.hexdigest()} {av.__version__} {libraries} {sys.byteorder}"


def _name(key: IndexKey) -> str:
    return json.dumps([asdict(key), _code()])


def _packed(index: VideoIndex, key: IndexKey) -> bytes:
    """A digest of all that follows, the length of a JSON header, it, and the columns."""
    columns = [getattr(index.packets, name) for name in PACKET_COLUMNS]
    columns += [getattr(index, name) for name in FRAME_COLUMNS]
    header = {
        "key": _name(key),
        "info": _info_as_json(index.info),
        "notes": index.notes,
        "decoder_setup": _setup_as_json(index.decoder_setup),
        **{name: getattr(index, name) for name in FACTS},
        "columns": [(getattr(column, "typecode", ""), len(bytes(column))) for column in columns],
    }
    text = json.dumps(header).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(bytes(column) for column in columns)
    return MAGIC + hashlib.sha256(body).digest() + body


def _unpacked(content: bytes, key: IndexKey) -> VideoIndex:
    """Raises ValueError, or another error, for anything that `_packed` has not made for this key."""
    start = len(MAGIC) + DIGEST_BYTES
    body = content[start:]
    if content[:start] != MAGIC + hashlib.sha256(body).digest():
        raise ValueError("damaged")
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    if header["key"] != _name(key):
        raise ValueError("of another file")
    columns = _columns(body[4 + length :], header["columns"])
    packets = Packets(*columns[: len(PACKET_COLUMNS)])
    return VideoIndex(
        filename=key.path,
        info=_info_of_json(header["info"]),
        packets=packets,
        notes=tuple(header["notes"]),
        decoder_setup=_setup_of_json(header["decoder_setup"]),
        **dict(zip(FRAME_COLUMNS, columns[len(PACKET_COLUMNS) :], strict=True)),
        **{name: header[name] for name in FACTS},
    )


def _columns(content: bytes, kinds: list[tuple[str, int]]) -> list[Any]:
    columns: list[Any] = []
    place = 0
    for typecode, size in kinds:
        piece = content[place : place + size]
        columns.append(array(typecode, piece) if typecode else piece)
        place += size
    return columns


def _info_as_json(info: StreamInfo) -> dict[str, Any]:
    values: dict[str, Any] = asdict(info)
    if info.nal_format is not None:
        values["nal_format"]["parameter_sets"] = info.nal_format.parameter_sets.hex()
    return {**values, "frame_rate": info.frame_rate and str(info.frame_rate)}


def _info_of_json(values: dict[str, Any]) -> StreamInfo:
    color, orientation, nal_format = (values.pop(name) for name in ("color", "orientation", "nal_format"))
    rate = values.pop("frame_rate")
    if nal_format is not None:
        nal_format["parameter_sets"] = bytes.fromhex(nal_format["parameter_sets"])
    return StreamInfo(
        **values,
        color=color and Color(**color),
        orientation=orientation and Orientation(**orientation),
        nal_format=nal_format and NalFormat(**nal_format),
        frame_rate=rate and Fraction(rate),
    )


def _setup_as_json(setup: DecoderSetup | None) -> dict[str, Any] | None:
    return None if setup is None else {**asdict(setup), "configuration": setup.configuration.hex()}


def _setup_of_json(values: dict[str, Any] | None) -> DecoderSetup | None:
    if values is None:
        return None
    return DecoderSetup(**{**values, "configuration": bytes.fromhex(values["configuration"])})
