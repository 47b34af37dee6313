"""How a pipeline serves, beside what its run says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The fields have the names of the flags."""

    max_pending: int = 1000
    """How many requests may be inside at once."""
    logs: Path | None = None
    """Where the folder of what is served is made; None: nothing is kept."""
    log_part: int = 100_000
    """Requests of a part."""
    log_minutes: float = 10.0
    """A part ends after so long, too."""
    keep_parts: int | None = None
    """How many of the last parts are kept; None: all."""
