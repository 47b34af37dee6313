"""The command line of benchmark.py."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

from rnb.videos import EXTENSIONS

DESCRIPTION = "Play a load of videos through a pipeline of replicated steps on GPUs, and measure it."
EPILOG = "Exit status: 0 all requests were served; 1 the run failed; 2 a wrong flag or config."


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; the attributes are sorted, so the printed line is too."""
    args = _parser().parse_args(argv)
    return argparse.Namespace(**dict(sorted(vars(args).items())))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmark.py", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False
    )
    load = parser.add_argument_group("load")
    load.add_argument(
        "-mi", "--mean_interval_ms", type=_number(0), default=100, metavar="MS",
        help="mean gap of the Poisson process of requests; 0 = all at once (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "-v", "--videos", type=_integer(1), default=2000, metavar="N",
        help="how many videos to play; the list is repeated as often as needed (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--data", default="data/videos", metavar="FOLDER",
        help=f"videos ({', '.join(sorted(EXTENSIONS))}) as FOLDER/label/video or flat (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--seed", type=_integer(0), default=0, metavar="N",
        help="draws arrival times, sampled clips and random weights (default %(default)s)",
    )  # fmt: skip
    _add_pipeline_group(parser)
    _add_run_group(parser)
    return parser


def _add_pipeline_group(parser: argparse.ArgumentParser) -> None:
    pipeline = parser.add_argument_group("pipeline")
    pipeline.add_argument(
        "-c", "--config_file_path", default="config/r2p1d-whole.json", metavar="FILE",
        help="the pipeline configuration (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "-p", "--per_gpu_queue", action="store_true",
        help="one queue per GPU between two steps instead of one for all; all steps must use the same GPUs",
    )  # fmt: skip
    pipeline.add_argument(
        "-qs", "--queue_size", type=_integer(1), default=500, metavar="N",
        help="most messages in a queue; a put into a full queue ends the run (default %(default)s;"
        " with -mi 0 the queues hold all requests)",
    )  # fmt: skip
    pipeline.add_argument(
        "-b", "--batch_size", type=_integer(1), default=1, metavar="N",
        help="videos per inference call (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "-bt", "--batch_timeout_ms", type=_number(0), default=10, metavar="MS",
        help="how long an incomplete batch waits for more requests (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto",
        help="cpu maps every GPU index to the CPU; else the config's GPUs are used (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "--mps", choices=("auto", "on", "off"), default="auto",
        help="a CUDA MPS daemon of the run's own, so that processes on a GPU take no turns; auto starts one"
        " where a GPU has several processes (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="trained weights; without them they are random, drawn from the seed",
    )


def _add_run_group(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument_group("run")
    run.add_argument(
        "--logs",
        default="logs",
        metavar="FOLDER",
        help="where the run's folder is made (default %(default)s)",
    )
    run.add_argument(
        "--max-failures", type=_integer(0), default=0, metavar="N",
        help="how many requests may fail, say for a bad video, before the run does (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--no-telemetry", dest="telemetry", action="store_false",
        help="do not sample the use of GPUs, CPUs and memory beside the run",
    )  # fmt: skip
    run.add_argument(
        "--quiet", action="store_true", help="print only the result's essentials, and errors; no progress"
    )
    run.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")
    run.add_argument("--check", action="store_true", help="print the resolved plan and stop")


def _integer(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value}: must be at least {least}")
        return value

    parse.__name__ = "whole number"
    return parse


def _number(least: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text}: must be at least {least:g}, and finite")
        return int(value) if value.is_integer() else value

    parse.__name__ = "number"
    return parse
