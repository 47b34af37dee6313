"""How long a command takes to START!, the first time and later. python -m benchmarks.start_up -- -c CONFIG

The first of the starts finds nothing of its own on disk: the folders that RnB and Triton keep things in are
new. A checkout beside this one is started in turn with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import ROOT, show, spread
from rnb.record.run_folder import read
from rnb.show.text.start_up_text import start_up_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "-n", "--repeats", type=int, default=3, help="starts after the first (default %(default)s)"
    )
    parser.add_argument("--beside", type=Path, help="another checkout of RnB")
    parser.add_argument("flags", nargs="*", help="of benchmark.py, after --")
    args = parser.parse_args()
    checkouts = [ROOT, *([args.beside] if args.beside else [])]
    with tempfile.TemporaryDirectory() as folder:
        homes = {checkout: Path(folder, str(number)) for number, checkout in enumerate(checkouts)}
        seconds: dict[Path, list[float]] = {checkout: [] for checkout in checkouts}
        for _ in range(args.repeats + 1):
            for checkout, home in homes.items():
                seconds[checkout].append(start(checkout, home, args.flags))
        print(phases_of_last(homes[ROOT] / "logs"))
    for checkout, (first, *others) in seconds.items():
        later = spread(others)
        show(
            f"start_up of {checkout}",
            f"{first:.1f} s to START! the first time, then {later['median']:.1f}"
            f" ({later['min']:.1f} to {later['max']:.1f})",
            {"first_s": first, "later_s": later, "flags": args.flags},
        )


def start(checkout: Path, home: Path, flags: list[str]) -> float:
    """Seconds from the command to START!; the run is interrupted there. Raises RuntimeError without one."""
    command = [sys.executable, "benchmark.py", *flags, "--logs", str(home / "logs")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), "TRITON_CACHE_DIR": str(home / "triton")}
    before = time.monotonic()
    with subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("START!"):
                seconds = time.monotonic() - before
                process.send_signal(signal.SIGINT)
                process.communicate()
                return seconds
    raise RuntimeError(f"{' '.join(command)}: no START!\n{''.join(lines)}")


def phases_of_last(logs: Path) -> str:
    """Where the last start of this checkout went."""
    meta = read(max(logs.iterdir(), key=lambda folder: folder.stat().st_mtime)).meta
    kinds = {
        f"step {one['step']}.{one['replica']}": f"step {one['step']} on {one['device']}"
        for one in meta.replicas
    }
    return start_up_text(meta.start_up, kinds)


if __name__ == "__main__":
    main()
