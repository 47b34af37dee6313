"""Plays peers one after the other, each in a process of its own and for a limited time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Played
from benchmarks.peers.processes import adopt_orphans, end_descendants
from benchmarks.peers.work import Arrival, Work

STOP_TIMEOUT_S = 15.0


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
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="rnb-peer-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        work.write(folder / "work.json")
        (folder / "plays.json").write_text(json.dumps(plays))
        try:
            problem = _run([sys.executable, "-m", "benchmarks.peers.one", path, temporary], log, limit_s)
        finally:
            end_descendants()
        return _outcome(name, _read(folder / "result.json"), problem)


def _run(command: Sequence[str], log: Path, limit_s: float) -> str:
    """What went wrong, in one line; '' where nothing did."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            _stop(process)
            return f"was not done after {limit_s:g} s: {_last_line(log)}"
    return "" if status == 0 else _last_line(log) or f"ended with status {status}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _read(result: Path) -> dict[str, Any]:
    return json.loads(result.read_text()) if result.is_file() else {}


def _outcome(name: str, told: dict[str, Any], problem: str) -> Outcome:
    return Outcome(
        name=name,
        decoder=told.get("decoder", ""),
        plays=[Played(**one) for one in told.get("plays", [])],
        why_not=told.get("why_not", problem),
    )
