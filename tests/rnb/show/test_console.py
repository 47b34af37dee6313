"""Printing goes on whatever the terminal can show, whoever reads, and says no more than was asked for."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnb.show import console
from rnb.show.console import say


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    console.configure()


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


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ({}, "line\nresult\n"),
        ({"verbose": True}, "line\ndetail\nresult\n"),
        ({"verbose": True, "quiet": True}, "result\n"),
        ({"quiet": True}, "result\n"),
        ({"json": True}, '{"rate": 3}\n'),
        ({"quiet": True, "json": True}, '{"rate": 3}\n'),
    ],
)
def test_each_setting_leaves_its_own_lines(
    capsys: pytest.CaptureFixture[str], flags: dict[str, Any], shown: str
) -> None:
    console.configure(**flags)
    say("line")
    console.detail("detail")
    console.conclude("result")
    console.emit({"rate": 3})
    console.warn("problem")
    assert capsys.readouterr() == (shown, "problem\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "shown"),
    [
        (Terminal(), "", "\x1b[1;32mVALID\x1b[0m\n  note: \\x1b\n"),
        (Terminal(), "1", "VALID\n  note: \\x1b\n"),
        (io.StringIO(), "", "VALID\n  note: \\x1b\n"),
    ],
)
def test_the_first_line_is_coloured_on_a_terminal_that_takes_it(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, no_color: str, shown: str
) -> None:
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("NO_COLOR", no_color)
    console.conclude("VALID\n  note: \x1b", sgr="32")
    assert stream.getvalue() == shown


def test_an_object_may_hold_more_than_json_knows(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json=True)
    console.emit({"folder": Path("logs/a")})
    assert json.loads(capsys.readouterr().out) == {"folder": "logs/a"}


@pytest.mark.parametrize(("function", "stream"), [("say", "stdout"), ("warn", "stderr")])
def test_it_goes_on_when_nobody_reads(function: str, stream: str) -> None:
    script = (
        "import sys; from rnb.show import console\n"
        "sys.stdin.readline()\n"
        f"for _ in range(3): console.{function}('x' * 100_000)\n"
        f"print('went on', file=sys.std{'err' if stream == 'stdout' else 'out'})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    unread = getattr(process, stream)
    unread.close()
    setattr(process, stream, None)
    out, err = process.communicate("begin\n", timeout=30)
    assert (process.returncode, (out or "") + (err or "")) == (0, "went on\n")


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[31m\x07\r\x9b2J\tb\nc"
    say(name)
    console.warn(name)
    shown = "a\\x1b[31m\\x07\\x0d\\x9b2J\tb\nc\n"
    assert capsys.readouterr() == (shown, shown)
