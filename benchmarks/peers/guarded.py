"""Runs a command for so many seconds at most: `python -m benchmarks.peers.guarded LIMIT_S COMMAND...`.

Nothing of it is left when this ends, however it ends and however the command's processes are detached. The
exit status is the command's, or TIME_IS_UP.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.peers.processes import adopt_orphans, end_descendants, end_with_parent

TIME_IS_UP = 124
"""As timeout(1) has it."""
STOP_TIMEOUT_S = 15.0


def main(limit_s: float, command: Sequence[str]) -> int:
    end_with_parent()
    adopt_orphans()
    try:
        process = subprocess.Popen(command)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(limit_s)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
        return TIME_IS_UP
    finally:
        end_descendants()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
