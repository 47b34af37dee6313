"""A process that takes CPU time or GPU memory from a run: `helper.py cpu`, `helper.py gpu-memory GPU BYTES`.

It gets ready, says so in a line, and begins when it gets one. It imports nothing of RnB, to start quickly.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def main(kind: str, *numbers: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # the driver's death is its own
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(f"fault {kind}"[:15])
    if kind == "cpu":
        _wait()
        while True:
            pass
    import torch

    gpu, num_bytes = map(int, numbers)
    torch.cuda.set_device(gpu)
    torch.cuda.synchronize()
    _wait()
    held = torch.zeros(num_bytes, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    sys.stdin.read()  # until the driver lets go
    del held


def _wait() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
