"""Plays peers one after the other, each in a process of its own and for a limited time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.guarded import TIME_IS_UP
from benchmarks.peers.peer import Played
from benchmarks.peers.work import Arrival, Work


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one peer."""

    name: str
    decoder: str = ""
    plays: Sequence[Played] = field(default_factory=list)
    """As many as it came to."""
    why_not: str = ""
    """Why it did not come to the end, in one line."""


def play_peer(
    name: str, path: str, work: Work, plays: Sequence[Sequence[Arrival]], *, limit_s: float, log: Path
) -> Outcome:
    """Nothing of the peer is left when this returns, or raises; `log` gets all that it prints."""
    with tempfile.TemporaryDirectory(prefix="rnb-peer-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        work.write(folder / "work.json")
        (folder / "plays.json").write_text(json.dumps(plays))
        one = [sys.executable, "-m", "benchmarks.peers.one", path, temporary]
        status = _run([sys.executable, "-m", "benchmarks.peers.guarded", str(limit_s), *one], log)
        return _outcome(name, folder / "result.json", _problem(status, limit_s, log))


def _run(command: Sequence[str], log: Path) -> int:
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True) as process,
    ):
        try:
            return process.wait()
        finally:
            process.terminate()


def _problem(status: int, limit_s: float, log: Path) -> str:
    """What went wrong, in one line; '' where nothing did."""
    if status == 0:
        return ""
    last = _last_line(log) or f"ended with status {status}"
    return f"was not done after {limit_s:g} s: {last}" if status == TIME_IS_UP else last


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _outcome(name: str, result: Path, problem: str) -> Outcome:
    told = json.loads(result.read_text()) if result.is_file() else {}
    return Outcome(
        name=name,
        decoder=told.get("decoder", ""),
        plays=[Played(**one) for one in told.get("plays", [])],
        why_not=told.get("why_not", problem),
    )
