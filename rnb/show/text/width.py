"""Text that keeps within the terminal: tables in parts, lines wrapped, long cells without their middle."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence

from rnb.show.text.table import align

UNLIMITED = 100_000
"""Where no terminal shows the text and COLUMNS is not set."""
LEAST = 40
GAP = 2
"""Between two columns."""


def terminal_width() -> int:
    """Of the terminal that shows standard output, or as COLUMNS says."""
    return max(LEAST, shutil.get_terminal_size((UNLIMITED, 24)).columns)


def folded(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A table; where it is wider, its columns below each other in parts that begin with the first column."""
    longest = (width - GAP) // 2
    rows = [[elided(cell, longest) for cell in row] for row in rows]
    parts = _parts(rows, width)
    return [
        line
        for number, part in enumerate(parts)
        for line in ([""] if number else []) + align([[row[0], *(row[i] for i in part)] for row in rows])
    ]


def _parts(rows: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """Which columns but the first come together, so that each part fits."""
    widths = [GAP + max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    parts: list[list[int]] = [[]]
    room = width - (widths[0] - GAP)
    left = room
    for column in range(1, len(widths)):
        if widths[column] > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append(column)
        left -= widths[column]
    return parts


def elided(text: str, width: int) -> str:
    """Without its middle, where it is longer."""
    if len(text) <= width:
        return text
    return text[: (width - 1) // 2] + "…" + text[len(text) - width // 2 :]


def wrapped(lines: Iterable[str], width: int) -> list[str]:
    """Each line, in several where it is longer; the others are set in as its text is."""
    return [part for line in lines for part in _wrapped(line, width)]


def _wrapped(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
