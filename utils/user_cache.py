"""Where what could be found out again is kept for the user (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """RnB's; it may not be there."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnb"
