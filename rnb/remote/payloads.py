"""The content of requests, made before the start: random numbers, or the files of the load."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnb.contract.termination import UsageError
from rnb.remote.datatypes import pack_bytes
from rnb.remote.inputs import FILE, Input

NUM_VARIANTS = 16
"""So many different random requests take turns."""
MOST_BYTES = 64 << 20
"""Of all variants together; there are fewer of large ones."""
MOST_FILE_BYTES = 2 << 30
"""Of all files together: they are read before the start, as a disk must not make the client late."""


class Payloads:
    """What each request has in its inputs, in their order."""

    def __init__(self, inputs: Sequence[Input], *, seed: int, data: str) -> None:
        self._inputs, self._data = tuple(inputs), data
        drawn = [one for one in inputs if not one.is_of_file]
        generator = np.random.Generator(np.random.PCG64(seed))
        self._variants = [[one.data(generator) for one in drawn]]
        size = max(1, sum(map(len, self._variants[0])))
        for _ in range(min(NUM_VARIANTS, MOST_BYTES // size) - 1):
            self._variants.append([one.data(generator) for one in drawn])
        self._files: dict[str, bytes] = {}

    @property
    def num_variants(self) -> int:
        return len(self._variants)

    @property
    def depends_on_file(self) -> bool:
        return any(one.is_of_file for one in self._inputs)

    def read(self, paths: Sequence[str]) -> None:
        """Read what the requests are about. Raises UsageError for what cannot be read."""
        if any(one.how == FILE for one in self._inputs):
            for path in dict.fromkeys(paths):
                try:
                    self._files[path] = Path(path).read_bytes()
                except OSError as error:
                    raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
                if sum(map(len, self._files.values())) > MOST_FILE_BYTES:
                    raise UsageError(f"--data {self._data}: more than {MOST_FILE_BYTES >> 30} GiB to be sent")

    def of(self, number: int, path: str) -> list[bytes]:
        """Of a request by its number, that is about this file."""
        drawn = iter(self._variants[number % len(self._variants)])
        return [self._of_file(one, path) if one.is_of_file else next(drawn) for one in self._inputs]

    def _of_file(self, one: Input, path: str) -> bytes:
        if one.how == FILE:
            return pack_bytes([self._files[path]])
        return pack_bytes([os.fsencode(os.path.relpath(path, self._data))])
