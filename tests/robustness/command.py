"""A command, called in this process, and what it may do: give a plan, or say in one line what is wrong."""

from __future__ import annotations

import contextlib
import io
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnb.show import console
from tests.robustness.attack import Fault, Outcome

MOST_BYTES = 1 << 30
"""More memory than it had before."""
Main = Callable[[Sequence[str]], int]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended."""

    status: int | None
    """None: with an exception."""
    out: str
    err: str
    grown_bytes: int


def call(main: Main, argv: Sequence[str]) -> Ended:
    """Call the main function of a program."""
    out, err, before = io.StringIO(), io.StringIO(), _reset_peak()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("always")
        console.configure()  # what --quiet and --json said before holds for a process
        try:
            status: int | None = main(argv)
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else 1
        except BaseException:
            status = None
            err.write(traceback.format_exc())
    return Ended(status=status, out=out.getvalue(), err=err.getvalue(), grown_bytes=_peak_bytes() - before)


def judge(outcome: Outcome, ended: Ended, *, fine: Sequence[int] = (0,), refused: int = 2) -> None:
    """It must have answered with a status of `fine` and without complaint, or have refused in one line."""
    lines = ended.err.splitlines()
    shown = f"status {ended.status}: {ended.err[-1500:]}"
    outcome.check(ended.status is not None and "Traceback" not in ended.err, Fault.TRACEBACK, shown)
    outcome.check(ended.grown_bytes < MOST_BYTES, Fault.GREEDY, f"{ended.grown_bytes:,} bytes")
    if ended.status in fine:
        outcome.check(not lines and bool(ended.out), Fault.WRONG, f"it complained, or said nothing; {shown}")
    elif ended.status == refused:
        outcome.check(len(lines) == 1, Fault.WRONG, f"{len(lines)} lines; {shown}")
    elif ended.status is not None:
        outcome.note(Fault.WRONG, shown)


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) << 10
