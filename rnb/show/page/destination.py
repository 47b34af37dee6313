"""Where a page goes. The command line needs no more of this package than this."""

from __future__ import annotations

from pathlib import Path

FILE_NAME = "report.html"
"""In a run's folder."""


def page_path(text: str) -> Path:
    """Raises ValueError for a path that cannot be, so that it is known before the work is done."""
    path = Path(text)
    if path.is_dir():
        raise ValueError(f"{text}: a folder, must be a file")
    if not path.parent.is_dir():
        raise ValueError(f"{text}: there is no folder {path.parent}")
    return path
