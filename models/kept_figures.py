"""Figures that take seconds to find, and are the same the next time: kept in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from utils.packages import write_whole
from utils.user_cache import user_cache


def kept(conditions: Mapping[str, Any], find: Callable[[], Any]) -> Any:
    """What `find` gives, or gave before under equal conditions, all of it JSON.

    A cache that cannot be read is as good as empty, and one that cannot be written is left alone.
    """
    told = json.dumps(conditions, sort_keys=True)
    path = user_cache() / "figures" / f"{hashlib.sha256(told.encode()).hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return json.loads(path.read_text(encoding="utf-8"))["figures"]
    figures = find()
    with contextlib.suppress(OSError):
        write_whole(path, json.dumps({"conditions": conditions, "figures": figures}).encode())
    return figures


def state_of(path: str) -> list[Any]:
    """What changes when a file does."""
    try:
        status = os.stat(path)
    except OSError:
        return [path]
    return [path, status.st_size, status.st_mtime_ns]


def code_of(*folders: Path) -> str:
    """What changes when a source file in these folders does."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
