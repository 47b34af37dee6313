"""Printing goes on whatever the terminal can show."""

import io
import os

import pytest

from rnb.console import say


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", "logs/caf\\udce9 Δ B\n"), ("ascii", "logs/caf\\udce9 \\u0394 B\n")],
)
def test_what_a_terminal_cannot_show_is_escaped(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(stream, encoding=encoding))
    say(f"{os.fsdecode(b'logs/caf' + bytes([0xE9]))} Δ B")
    assert stream.getvalue().decode(encoding) == shown
