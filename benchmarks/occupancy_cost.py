"""What --occupancy costs: a pipeline in bulk, with and without it or parts of it, in turn.

    python -m benchmarks.occupancy_cost
    python -m benchmarks.occupancy_cost --variants off on counters kernels "all kernels"

`counters` samples the GPU only, `kernels` traces windows only, `all kernels` traces without a pause.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmark import EXIT_INVALID, EXIT_OK
from benchmark import main as benchmark
from benchmarks.measuring import ROOT, show, spread, throughput
from rnb import occupancy_recorder
from rnb.kernel_recorder import KernelWindowing
from rnb.run_folder import Run, read
from utils import sampling_process
from utils.gpu_sampler import GpuSamples

VARIANTS = ("off", "on", "counters", "kernels", "all kernels")


class NoSampling:
    """In the place of the process that samples the counters."""

    def __init__(self, devices: Sequence[int], *, interval_us: int) -> None: ...

    def start(self) -> dict[int, str]:
        return {}

    def stop(self) -> tuple[list[GpuSamples], dict[int, str]]:
        return [], {}

    def kill(self) -> None: ...


def play(variant: str, flags: Sequence[str]) -> int:
    """benchmark.py, with parts of --occupancy left out."""
    if variant == "off":
        return benchmark(flags)
    if variant == "counters":
        occupancy_recorder.OccupancyRecorder.windowing = None  # type: ignore[assignment]
    if variant == "all kernels":
        occupancy_recorder.OccupancyRecorder.windowing = KernelWindowing(window_s=1, period_s=1)  # type: ignore[assignment]
    if variant in ("kernels", "all kernels"):
        sampling_process.SamplingProcess = NoSampling  # type: ignore[assignment,misc]
    return benchmark([*flags, "--occupancy"])


def run(variant: str, flags: Sequence[str]) -> Run:
    """A run in a process of its own. Raises RuntimeError when it fails."""
    with tempfile.TemporaryDirectory() as logs:
        command = [
            sys.executable,
            "-m",
            "benchmarks.occupancy_cost",
            "--play",
            variant,
            "--logs",
            logs,
            *flags,
        ]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode not in (EXIT_OK, EXIT_INVALID):
            raise RuntimeError(f"{' '.join(command)}: exit status {result.returncode}\n{result.stderr}")
        if result.stderr.strip():
            print(result.stderr.strip(), file=sys.stderr)
        (folder,) = Path(logs).iterdir()
        return read(folder)


def main() -> None:
    args = parse_arguments()
    flags = ["-c", args.config, "-mi", "0", "-v", str(args.videos), "--data", args.data, *args.flags]
    rates: dict[str, list[float]] = {variant: [] for variant in args.variants}
    for number in range(args.rounds):
        # The order changes, so that a machine that grows warm or busy favours none.
        for variant in args.variants[:: -1 if number % 2 else 1]:
            rates[variant].append(throughput(run(variant, flags)))
    for variant, values in rates.items():
        ratio = spread([value / off for value, off in zip(values, rates[args.variants[0]], strict=True)])
        median = spread(values)
        show(
            f"occupancy cost, {variant}",
            f"{median['median']:.1f} videos/s ({median['min']:.1f} to {median['max']:.1f});"
            f" {100 * (ratio['median'] - 1):+.2f} % ({100 * (ratio['min'] - 1):+.2f} to"
            f" {100 * (ratio['max'] - 1):+.2f} %) against '{args.variants[0]}', {args.rounds} rounds",
            {"config": args.config, "videos_per_s": median, "ratio": ratio},
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["off", "on"])
    parser.add_argument(
        "-c", "--config", default="config/r2p1d-inference-fast.json", help="default %(default)s"
    )
    parser.add_argument("-v", "--videos", type=int, default=30_000, help="default %(default)s")
    parser.add_argument("--data", default="data/videos", help="default %(default)s")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="more flags of benchmark.py")
    return parser.parse_args()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--play"]:
        sys.exit(play(sys.argv[2], sys.argv[3:]))
    main()
