"""Regions of shared memory that clients register, to leave tensors in and to find them there.

A client may shorten its region at any time, and reading a mapping beyond the end kills a process (SIGBUS): so
system memory is read and written as a file, which tells of an error instead.
Source: the shared memory extensions of NVIDIA's Triton.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Protocol

from rnb.serving.refusal import NOT_FOUND, Refusal
from rnb.serving.tensors import Place

FOLDER = "/dev/shm"
MOST_REGIONS = 1024
NOT_ASKED_FOR = "shared memory is off; start serve.py with --shared-memory"


class Region(Protocol):
    """A region of one kind of memory; positions count from its beginning."""

    num_bytes: int

    def describe(self) -> dict[str, Any]:
        """As its status is told."""

    def read(self, position: int, num_bytes: int) -> bytes: ...

    def write(self, position: int, data: bytes) -> None: ...

    def close(self) -> None: ...


class Span(NamedTuple):
    """Where in an object of shared memory a region lies."""

    key: str
    offset: int
    num_bytes: int


class SystemRegion:
    """A region in an object of POSIX shared memory. Raises Refusal when it does not hold it."""

    def __init__(self, span: Span) -> None:
        self._span, self.num_bytes = span, span.num_bytes
        name = span.key.removeprefix("/")
        if not name or "/" in name or "\0" in name or name in (".", ".."):
            raise Refusal(
                f"key {span.key!r:.80}: must be the name of a shared memory object, such as '/name'"
            )
        try:
            self._file = os.open(f"{FOLDER}/{name}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, UnicodeEncodeError):
            raise Refusal(f"key {span.key!r:.80}: no such shared memory object") from None
        if span.offset + span.num_bytes > os.fstat(self._file).st_size:
            self.close()
            raise Refusal(f"key {span.key!r:.80}: it has fewer bytes than offset and byte_size say")

    def describe(self) -> dict[str, Any]:
        return {"key": self._span.key, "offset": self._span.offset, "byte_size": self.num_bytes}

    def read(self, position: int, num_bytes: int) -> bytes:
        return os.pread(self._file, num_bytes, self._span.offset + position)

    def write(self, position: int, data: bytes) -> None:
        if self._span.offset + position + len(data) > os.fstat(self._file).st_size:
            raise Refusal("the shared memory has been shortened")
        os.pwrite(self._file, data, self._span.offset + position)

    def close(self) -> None:
        os.close(self._file)


class Regions:
    """Those that are registered, by name. Unless `are_allowed` none can be."""

    def __init__(self, *, are_allowed: bool) -> None:
        self._are_allowed = are_allowed
        self._regions: dict[str, Region] = {}

    def check_allowed(self) -> None:
        if not self._are_allowed:
            raise Refusal(NOT_ASKED_FOR)

    def register_system(self, name: str, *, key: str, offset: int, num_bytes: int) -> None:
        """Raises Refusal."""
        self._check_new(name, num_bytes)
        if offset < 0:
            raise Refusal(f"offset: {offset} is less than 0")
        self._regions[name] = SystemRegion(Span(key, offset, num_bytes))

    def register_cuda(self, name: str, *, handle: bytes, device: int, num_bytes: int) -> None:
        """Raises Refusal."""
        from rnb.serving.cuda_memory import CudaRegion

        self._check_new(name, num_bytes)
        self._regions[name] = CudaRegion(handle, device=device, num_bytes=num_bytes)

    def _check_new(self, name: str, num_bytes: int) -> None:
        self.check_allowed()
        if not name or len(name) > 256:
            raise Refusal("the name of a region has 1 to 256 characters")
        if name in self._regions:
            raise Refusal(f"shared memory region '{name}' is registered already")
        if len(self._regions) >= MOST_REGIONS:
            raise Refusal(f"{MOST_REGIONS} shared memory regions are registered; there may be no more")
        if num_bytes <= 0:
            raise Refusal(f"byte_size: {num_bytes} is not more than 0")

    def unregister(self, name: str, kind: type[Region]) -> None:
        """One region, or with an empty name all of a kind; what is not there need not be."""
        self.check_allowed()
        for one in [name] if name else list(self._regions):
            if isinstance(self._regions.get(one), kind):
                self._regions.pop(one).close()

    def close(self) -> None:
        """All of them."""
        while self._regions:
            self._regions.popitem()[1].close()

    def status(self, name: str, kind: type[Region]) -> list[dict[str, Any]]:
        """One region, or with an empty name all of a kind. Raises Refusal for one that is not there."""
        self.check_allowed()
        if name and not isinstance(self._regions.get(name), kind):
            raise Refusal(f"no shared memory region '{name:.80}'", NOT_FOUND)
        return [
            {"name": one, **region.describe()}
            for one, region in self._regions.items()
            if isinstance(region, kind) and name in ("", one)
        ]

    def read(self, place: Place, *, most: int) -> bytes:
        """What lies there. Raises Refusal."""
        if place.num_bytes > most:
            raise Refusal(f"{place.num_bytes} bytes in shared memory; a request may have {most}")
        data = self._at(place).read(place.offset, place.num_bytes)
        if len(data) != place.num_bytes:
            raise Refusal("the shared memory has been shortened")
        return data

    def write(self, place: Place, data: bytes) -> None:
        """Raises Refusal, also when there is not enough room."""
        region = self._at(place)
        if len(data) > place.num_bytes:
            raise Refusal(f"the output has {len(data)} bytes, its place in shared memory {place.num_bytes}")
        region.write(place.offset, data)

    def _at(self, place: Place) -> Region:
        self.check_allowed()
        if place.offset < 0 or place.num_bytes < 0:
            raise Refusal("shared_memory_offset and shared_memory_byte_size are at least 0")
        region = self._regions.get(place.region)
        if region is None:
            raise Refusal(f"no shared memory region '{place.region:.80}'")
        if place.offset + place.num_bytes > region.num_bytes:
            raise Refusal(
                f"bytes {place.offset} to {place.offset + place.num_bytes} are not in shared memory region"
                f" '{place.region:.80}' of {region.num_bytes}"
            )
        return region
