"""client.py and runner.py: a part of a run by itself, with the flags and the report of benchmark.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rnb.command_line.benchmark import run
from rnb.command_line.number_types import whole_number


def client(argv: Sequence[str] | None = None) -> int:
    """Play a load for a step that does nothing; returns the exit status."""
    return run("client.py", argv, _choose_client)


def _choose_client(parser: argparse.ArgumentParser) -> None:
    parser.description = "Play a load for a step that does nothing, to see how punctually the client sends."
    parser.set_defaults(alone="client")


def runner(argv: Sequence[str] | None = None) -> int:
    """Play a load for one step of a pipeline; returns the exit status."""
    return run("runner.py", argv, _add_step)


def _add_step(parser: argparse.ArgumentParser) -> None:
    parser.description = "Play a load for one step of a pipeline, with made-up input before it."
    parser.add_argument(
        "--step", dest="alone", type=whole_number(0), default=0, metavar="N",
        help="which step of the pipeline runs alone (default %(default)s)",
    )  # fmt: skip
