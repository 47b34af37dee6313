"""What the user reads: printing that cannot end a run, and that --quiet and --json silence.

`benchmark.py | head` still leaves a complete run folder: once nobody reads, the rest goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass(kw_only=True)
class _Settings:
    program: str = "benchmark.py"
    quiet: bool = False
    json: bool = False
    verbose: bool = False


_settings = _Settings()


def configure(
    *, program: str = "benchmark.py", quiet: bool = False, json: bool = False, verbose: bool = False
) -> None:
    """What --quiet, --json and --verbose ask for, and whose output this is; holds for this process."""
    _settings.program = program
    _settings.quiet, _settings.json, _settings.verbose = quiet, json, verbose
    _replace_closed_streams()


def say(line: str = "") -> None:
    """Print a line on stdout at once; --quiet and --json leave it out. What cannot be shown is escaped."""
    if not (_settings.quiet or _settings.json):
        _write(_harmless(line) + "\n", sys.stdout)


def detail(line: str) -> None:
    """Print a line that only --verbose asks for."""
    if _settings.verbose:
        say(line)


def conclude(text: str, *, sgr: str = "") -> None:
    """Print some of the few lines that --quiet leaves: the verdict, the headline, the folder.

    `sgr`: the colour of the first line, on a terminal that takes colours.
    """
    if not _settings.json:
        first, *others = _harmless(text).split("\n")
        _write("\n".join([_painted(first, sgr), *others, ""]), sys.stdout)


def _painted(line: str, sgr: str) -> str:
    """As it is where NO_COLOR is set (https://no-color.org), or where no terminal is."""
    if not sgr or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return line
    return f"\x1b[1;{sgr}m{line}\x1b[0m"


def emit(result: Mapping[str, Any]) -> None:
    """Under --json: print the result as one JSON object on one line; else nothing."""
    if _settings.json:
        _write(json.dumps(result, default=str) + "\n", sys.stdout)


def warn(text: str) -> None:
    """Print a line, or several, on stderr, whatever --quiet and --json silence."""
    _write(_harmless(text.rstrip("\n")) + "\n", sys.stderr)


def complain(line: str, details: Iterable[str] = ()) -> None:
    """Print on stderr what went wrong, with the name of the program before it, behind lines that say more."""
    for more in details:
        warn(more)
    warn(f"{_settings.program}: {line}")


def is_quiet() -> bool:
    """Whether --quiet asked for no progress."""
    return _settings.quiet


def is_verbose() -> bool:
    """Whether --verbose asked for all there is."""
    return _settings.verbose


def draw(text: str) -> None:
    """Write text on stderr as it is, for progress on a terminal."""
    _write(text, sys.stderr)


_HARMLESS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""Control characters as text: the name of a video may hold any, and a terminal would obey them."""


def _harmless(text: str) -> str:
    return text.translate(_HARMLESS)


def _replace_closed_streams() -> None:
    """`>&-` leaves no stream, and gives its number to the next pipe that is opened, here or in a child."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: SIM115 (it stays open)
            os.set_inheritable(stream.fileno(), True)  # the lowest free number, so its own
            setattr(sys, name, stream)


def _write(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(text)
        stream.flush()
    except OSError:  # nobody reads, or the disk is full
        # What is buffered is flushed again at exit, which must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
