"""--self-check: its exit status, and as a run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnb.campaigns.campaign import Player
from rnb.campaigns.self_check import CASES, SelfCheckError
from rnb.command_line import benchmark, self_check_command
from tests.support.running import ROOT


@pytest.mark.parametrize("status", [0, 3])
def test_the_exit_status(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check_command, "self_check", lambda logs, player: status)
    assert benchmark.main(["--self-check"]) == status


def test_a_run_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(logs: str, player: Player) -> int:
        raise SelfCheckError("M/D/1: step 0.0 was killed")

    monkeypatch.setattr(self_check_command, "self_check", fail)
    assert benchmark.main(["--self-check"]) == 1
    assert capsys.readouterr().err == "benchmark.py: M/D/1: step 0.0 was killed\n"


SHORT_CHECK = """
import dataclasses, sys
from rnb.campaigns.outcome import play_and_judge
from rnb.campaigns.self_check import CASES
from rnb.command_line.self_check_command import self_check
if __name__ == "__main__":
    short = [dataclasses.replace(case, num_requests=300, seed=seed) for case, seed in zip(CASES, (106, 73))]
    sys.exit(self_check(sys.argv[1], play_and_judge, short))
"""
"""The seeds are chosen for so few requests as those of CASES are for many."""


def test_real_runs_agree_with_theory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHORT_CHECK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode in (0, 3), done.stderr
    assert len(list(tmp_path.iterdir())) == len(CASES)
    verdict, problems = lines[len(lines) - 1 - done.stdout.count("\n  ")], lines[-done.stdout.count("\n  ") :]
    if done.returncode == 0:
        assert lines[-1] == "VALID"
        assert (
            len(re.findall(r"^M/[DM]/\d (mean wait|p99 of the wait) .* agrees$", done.stdout, re.MULTILINE))
            == 4
        )
    else:
        # A machine with other work does not measure well, and says so.
        assert verdict == "INVALID"
        assert all(problem.endswith("run it where nothing else does") for problem in problems), done.stdout
