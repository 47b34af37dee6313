"""Flags that may also stand in a settings file or in the environment: a flag beats those, and they the file.

What the others say is made into flags before those of the command line, so that it is checked as they are,
and what is wrong with it is said with its place.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnb.command_line.parser import Parser
from rnb.show import console

PREFIX = "RNB_"
FILE_FLAG = "settings"
LIKENESS = 0.8
"""Of two names, from 0 to 1, as `difflib` measures it."""
_TRUTH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}

ParserMaker = Callable[[str], Parser]
"""Makes a parser of a program of this name."""


def parse(
    make: ParserMaker, program: str, argv: Sequence[str], environment: Mapping[str, str] = os.environ
) -> argparse.Namespace:
    """Parse flags, environment and file. Ends the program with a line and status 2 for what is wrong."""
    parser = make(program)
    named = {action.dest.upper(): action for action in parser._actions if action.dest != "help"}
    told = {name: environment[PREFIX + name] for name in named if environment.get(PREFIX + name)}
    for name in sorted(environment):
        if meant := _meant(name, named):
            console.warn(f"{program}: {name} is no setting, and is left alone: is {PREFIX}{meant} meant?")
    from_environment: list[str] = []
    for name, text in told.items():
        flags = _flags(parser, PREFIX + name, named[name], text)
        make(f"{program}: {PREFIX}{name}").parse_args(flags)
        from_environment += flags
    place = parser.parse_args([*from_environment, *argv]).settings
    from_file: list[str] = []
    if place is not None:
        for name, value in _read(parser, place).items():
            if name.upper() not in named or name == FILE_FLAG:
                parser.error(f"{place}: no setting '{name}'; there are {', '.join(map(str.lower, named))}")
            flags = _flags(parser, f"{place}: {name}", named[name.upper()], value)
            make(f"{program}: {place}").parse_args(flags)
            from_file += flags
    return parser.parse_args([*from_file, *from_environment, *argv])


def _meant(name: str, named: Iterable[str]) -> str | None:
    """The setting that a variable may be a misspelt one of; None of what is one, or like none."""
    bare = name.removeprefix(PREFIX)
    if bare == name or bare in named:
        return None
    return next(iter(difflib.get_close_matches(bare, list(named), n=1, cutoff=LIKENESS)), None)


def _read(parser: Parser, place: str) -> dict[str, Any]:
    """A settings file, its names as those of flags in Python."""
    path = Path(place)
    try:
        text = path.read_text()
        told = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        parser.error(f"--{FILE_FLAG}: {place}: {error.strerror}")
    except ValueError as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        parser.error(f"--{FILE_FLAG}: {place}: no {kind}: {error}")
    if not isinstance(told, dict):
        parser.error(f"--{FILE_FLAG}: {place}: no object of settings")
    return {name.replace("-", "_"): value for name, value in told.items()}


def _flags(parser: Parser, place: str, action: argparse.Action, value: Any) -> list[str]:
    """The flags that say the same."""
    long = max(action.option_strings, key=len)
    is_switch = action.nargs == 0
    if not is_switch:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            parser.error(f"{place}: must be a text or a number, and is {json.dumps(value, default=str):.80}")
        return [f"{long}={value}"]
    is_on = value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
    if is_on is None:
        parser.error(f"{place}: must be true or false, and is {json.dumps(value, default=str):.80}")
    on, off = _switches(action)
    return [on] if is_on else [off] if off else []


def _switches(action: argparse.Action) -> tuple[str, str | None]:
    """The flags that turn a switch on, and off where there is one."""
    long = [one for one in action.option_strings if one.startswith("--")]
    off = next((one for one in long if one.startswith("--no-")), None)
    return next(one for one in long if one != off), off
