"""Puts pictures of people where a server's gallery is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np


def enrol(gallery: Path, name: str, picture: bytes) -> Path:
    """Keep a picture as gallery/name/<digest>.jpg or .png; the same one twice is one file.

    Raises ValueError for a name that is no folder's, and for what is no picture, in one line.
    """
    name = name.strip()
    if not name or name.startswith(".") or not name.isprintable() or "/" in name or len(name.encode()) > 100:
        raise ValueError("a name has 1 to 100 characters, no slash, and does not begin with a dot")
    if not picture or cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) is None:
        raise ValueError("this is no picture")
    suffix = ".png" if picture.startswith(b"\x89PNG") else ".jpg"
    path = gallery / name / f"{hashlib.sha256(picture).hexdigest()[:16]}{suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(picture)
        partial.replace(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {error.strerror}") from None
    return path
