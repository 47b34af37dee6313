"""Printing that cannot end a run: `benchmark.py | head` still leaves a complete run folder."""

from __future__ import annotations

import os
import sys


def say(line: str = "") -> None:
    """Print a line at once; once nobody reads, the rest goes nowhere. What cannot be shown is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # What print has buffered is flushed again at exit, which must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
