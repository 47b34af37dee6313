"""The load as data: the fields that the command line fills and that a run folder gives back."""

from __future__ import annotations

import dataclasses

from rnb.command_line.flags import parse_args
from rnb.load.load import REPLAYED, Load


def test_by_default_it_is_what_the_command_line_asks_for_by_default() -> None:
    args = vars(parse_args([]))
    assert {name: args[name] for name in vars(Load())} == vars(Load())


def test_all_but_who_sends_is_replayed() -> None:
    names = {field.name for field in dataclasses.fields(Load)}
    assert names - set(REPLAYED) == {"clients", "replay"}
    assert set(REPLAYED) <= names
