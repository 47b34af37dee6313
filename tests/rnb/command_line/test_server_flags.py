"""The flags of a run against a server, and those that rule each other out."""

from __future__ import annotations

import pytest

from rnb.command_line.flags import _parser, parse_args
from rnb.command_line.server_flags import NOT_OF_A_SERVER

TO = ("--url", "http://box", "--model", "net")


def test_the_flags_are_taken() -> None:
    args = parse_args([*TO, "--input", "A=zeros", "--input", "B=file", "--shape", "A:1,2", "--timeout", "50"])
    assert (args.url, args.model, args.input, args.shape) == (
        "http://box",
        "net",
        ["A=zeros", "B=file"],
        ["A:1,2"],
    )
    assert (args.timeout, args.in_flight, args.keep_results) == (50, 500, False)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--model", "net"], "--model: only with --url"),
        (["--keep-results"], "--keep-results: only with --url"),
        (["--url", "http://box"], "--url: needs --model NAME, the model to ask"),
        ([*TO, "-c", "x.json", "-b", "4"], "--url: how it serves is the server's own; leave out -b, -c"),
        ([*TO, "--cluster", "auto"], "--url: how it serves is the server's own; leave out --cluster"),
        ([*TO, "--send-files"], "--url: how it serves is the server's own; leave out --send-files"),
        ([*TO, "--retries", "2"], "--url: how it serves is the server's own; leave out --retries"),
    ],
)
def test_what_rules_each_other_out_is_one_line(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_args(argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"benchmark.py: error: {line}\n"


def test_all_flags_of_the_pipeline_are_ruled_out() -> None:
    (pipeline,) = (group for group in _parser("benchmark.py")._action_groups if group.title == "pipeline")
    assert {flag.dest for flag in pipeline._group_actions} <= set(NOT_OF_A_SERVER)
