"""Ctrl-C before a program can deal with it: while it still imports."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from rnb.command_line.exit_status import EXIT_FAILED


def end_on_interrupt() -> None:
    """From here on Ctrl-C ends the program with one line, until somebody else wants it."""
    signal.signal(signal.SIGINT, _end)


def _end(signum: int, frame: object) -> None:
    os.write(2, f"{Path(sys.argv[0]).name}: interrupted\n".encode())
    os._exit(EXIT_FAILED)
