"""A wrong flag is one line, whatever the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from rnb.command_line import compare
from rnb.command_line.flags import parse_args


@pytest.mark.parametrize(
    ("parse", "argv", "line"),
    [
        (
            parse_args,
            ["--frob"],
            "benchmark.py: error: unrecognized arguments: --frob\n",
        ),
        (parse_args, ["-v", "0"], "benchmark.py: error: argument -v/--videos: 0: must be at least 1\n"),
        (parse_args, ["--seed=--"], "benchmark.py: error: argument --seed: expected one argument\n"),
        (
            compare.main,
            ["logs", "--filter=--"],
            "compare.py: error: argument --filter: expected one argument\n",
        ),
        (compare.main, [], "compare.py: error: the following arguments are required: RUN\n"),
    ],
)
def test_a_wrong_flag_is_one_line(
    parse: Callable[[Sequence[str]], object], argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err == line
