"""What --occupancy costs: a pipeline in bulk, with and without it or parts of it, in turn.

    python -m benchmarks.occupancy_cost
    python -m benchmarks.occupancy_cost --variants off on counters kernels "all kernels"

`counters` samples the GPU only, `kernels` traces windows only, `all kernels` traces without a pause.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.measuring import show, spread, throughput
from rnb.command_line.flags import parse_args, spec_of
from rnb.observe.kernel_probe import KernelProbe
from rnb.observe.observer import Observer, Watched
from rnb.observe.occupancy import OccupancyObserver
from rnb.pipeline.plan import Plan
from rnb.play import play
from rnb.record.run import Run
from rnb.show import console
from rnb.spec import schedule_of
from utils.cupti.gpu_sampler import GpuSamples
from utils.cupti.sampling_process import SamplingProcess


class NoSampling(SamplingProcess):
    """In the place of the process that samples the counters."""

    def __init__(self) -> None: ...

    def start(self) -> dict[int, str]:
        return {}

    def stop(self) -> tuple[list[GpuSamples], dict[int, str]]:
        return [], {}

    def kill(self) -> None: ...


class Counters(OccupancyObserver):
    """Samples the GPU only."""

    def probe(self, plan: Plan) -> None:
        super().probe(plan)


class Kernels(OccupancyObserver):
    """Traces windows only."""

    def prepare(self, watched: Watched) -> None:
        self._watched, self._sampling = watched, NoSampling()


class AllKernels(Kernels):
    """Traces without a pause."""

    def probe(self, plan: Plan) -> KernelProbe | None:
        found = super().probe(plan)
        return None if found is None else replace(found, window_s=1, period_s=1)


VARIANTS: dict[str, Sequence[type[Observer]]] = {
    "off": [],
    "on": [OccupancyObserver],
    "counters": [Counters],
    "kernels": [Kernels],
    "all kernels": [AllKernels],
}


def run(variant: str, flags: Sequence[str]) -> Run:
    """A run in memory. Raises RuntimeError when it fails."""
    spec, schedule = schedule_of(spec_of(parse_args(flags)))
    played = play(spec, schedule, observers=[one() for one in VARIANTS[variant]], warn=console.warn)
    if not played.meta.is_success:
        raise RuntimeError(f"{variant}: {played.meta.message}\n{played.traceback}")
    return played


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
    main()
