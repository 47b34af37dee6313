"""Ctrl-C while a program imports is one line, and the status of a run that ended early."""

import subprocess
import sys

from rnb.command_line.exit_status import EXIT_FAILED

PROGRAM = """
import signal, sys
from rnb.command_line.early import end_on_interrupt
end_on_interrupt()
sys.argv[0] = "some/where/benchmark.py"
signal.raise_signal(signal.SIGINT)
print("went on")
"""


def test_ctrl_c_while_a_program_imports() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (EXIT_FAILED, "")
    assert ended.stderr == "benchmark.py: interrupted\n"
