"""What a command imports before it is needed is what it starts slower by."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.running import ROOT

SLOW_PACKAGES = ("torch", "pandas", "scipy", "pyarrow", "av", "cv2")
"""Each takes 0.1 s and more."""

AS_CHECKED = """
import sys
from rnb.command_line import benchmark
status = benchmark.main(["-c", "config/{name}.json", "--check", "--quiet", "--device", "cpu", *{flags}])
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
sys.exit(status)
"""
AS_STARTED = """
import sys
import rnb.command_line.benchmark, rnb.command_line.play_command, rnb.play
from rnb.processes.replicas import IMPORTED
for name in IMPORTED:
    __import__(name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
PARTS = """
import sys
import rnb.command_line.benchmark, rnb.command_line.{command}
print(*sorted(name for name in sys.modules if name.startswith("rnb.")))
"""
DRAWS = ("rnb.show.page.page", "rnb.show.text.", "rnb.show.trace.", "rnb.command_line.peak_command")
JUDGES = ("rnb.analysis.verdict", "rnb.analysis.summary", "rnb.record.columns")
PLAYS = ("rnb.play", "rnb.processes.runner", "rnb.campaigns.")


def printed(code: str) -> set[str]:
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    return set(result.stdout.splitlines()[-1].split())


CHECKED = {
    "empty": [],
    "r2p1d-whole": [],
    "r2p1d-fast": [],
    "r2p1d-fast-tail": [],
    "streams-cpu": ["--streams", "2", "--fps", "5", "--duration", "1"],
}


@pytest.mark.parametrize(
    "code",
    [*(AS_CHECKED.format(name=name, flags=flags) for name, flags in CHECKED.items()), AS_STARTED],
    ids=[*CHECKED, "start"],
)
def test_packages_that_wait(code: str) -> None:
    imported = printed(code)
    assert "rnb" in imported
    assert "numpy" in imported
    assert not imported & {*SLOW_PACKAGES}


@pytest.mark.parametrize(
    ("command", "needed", "left"),
    [
        ("check_command", "rnb.pipeline.plan", (*DRAWS, *JUDGES, *PLAYS)),
        ("play_command", "rnb.processes.runner", (*DRAWS, *JUDGES)),
    ],
)
def test_parts_that_wait(command: str, needed: str, left: tuple[str, ...]) -> None:
    imported = printed(PARTS.format(command=command))
    assert needed in imported
    for part in left:
        assert not [name for name in imported if name.startswith(part)], part
