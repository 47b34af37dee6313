"""What the commands share in reading their flags."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


class _OneMachine(argparse.Action):
    """A flag of benchmark.py that another command does not have."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        parser.error(f"--cluster: {parser.prog} knows one machine; benchmark.py plays over several")


def refuse_cluster(parser: argparse.ArgumentParser) -> None:
    """Of a command that knows one machine."""
    parser.add_argument("--cluster", action=_OneMachine, help=argparse.SUPPRESS)


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a flag in one line; argparse would print all flags before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, which would take '--flag=--' for a flag with an empty list, unchecked."""
        given: Sequence[str] = sys.argv[1:] if args is None else args
        for one in given:
            if one.startswith("-") and one.endswith("=--"):
                self.error(f"argument {one.removesuffix('=--')}: expected one argument")
        return super().parse_known_args(given, namespace)
