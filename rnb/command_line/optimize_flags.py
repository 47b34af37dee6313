"""The command line of optimize.py."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from rnb import home
from rnb.analysis.comparison import MIN_AGREEMENT
from rnb.command_line.flags import page
from rnb.command_line.number_types import more_than_0, whole_number
from rnb.command_line.parser import Parser, refuse_cluster
from rnb.load.videos import DEFAULT_FOLDER
from rnb.planner.goal import GOALS
from rnb.show.page.destination import FILE_NAME

EPILOG = (
    "Exit status: 0 found; 1 a run failed, or it was interrupted; 2 a wrong flag or config, or no candidate"
    " keeps the goal."
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        "optimize.py",
        description="Profile a pipeline, work its placements out, play the best ones.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    _add_goal(parser)
    _add_space(parser)
    _add_run(parser)
    refuse_cluster(parser)
    args = parser.parse_args(argv)
    args.cores_asked, args.cores = args.cores, args.cores or len(os.sched_getaffinity(0))
    args.config_file_path = args.explain or args.config_file_path
    return args


def _add_goal(parser: argparse.ArgumentParser) -> None:
    goal = parser.add_argument_group("goal")
    goal.add_argument(
        "--goal", choices=GOALS, default="throughput",
        help="most requests/s; the least p99 at --rate; the highest rate with a p99 within --slo; the fewest"
        " GPUs, then the fewest workers on the CPU, with a p99 within --slo at --rate (default %(default)s)",
    )  # fmt: skip
    goal.add_argument("--rate", type=more_than_0, metavar="R", help="requests/s")
    goal.add_argument("--slo", type=more_than_0, metavar="MS", help="bound of the 99th percentile")
    goal.add_argument(
        "--min-agreement", type=_share, default=MIN_AGREEMENT, metavar="SHARE",
        help="a candidate must give so many of the results of the config as it is, from 0 to 1 (default"
        " %(default)s)",
    )  # fmt: skip


def _add_space(parser: argparse.ArgumentParser) -> None:
    space = parser.add_argument_group("what may be used")
    space.add_argument(
        "-c", "--config_file_path", type=home.find, default="config/r2p1d-whole.json", metavar="FILE",
        help="where to start; a step's \"choices\" are tried, too (default %(default)s)",
    )  # fmt: skip
    space.add_argument("--gpus", type=whole_number(1, 64), default=1, metavar="N", help="GPUs (default 1)")
    space.add_argument(
        "--cores", type=whole_number(1, 4096), metavar="N",
        help="CPU cores, and the most replicas of a step (default: those of this process)",
    )  # fmt: skip
    space.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="as benchmark.py's")
    space.add_argument(
        "-b", "--batch_size", type=whole_number(1), default=1, metavar="N", help="of the start (default 1)"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument_group("run")
    run.add_argument(
        "--budget", type=more_than_0, default=10.0, metavar="MINUTES", help="time for all (default 10)"
    )
    run.add_argument(
        "--resume", metavar="FOLDER", help="go on with an earlier search; all but --budget is taken from it"
    )
    run.add_argument(
        "--profile", nargs="+", default=[], metavar="FOLDER",
        help="run folders of this pipeline, or the folder of a search or its profile, from one machine: what"
        " they say need not be profiled",
    )  # fmt: skip
    run.add_argument(
        "--explain", nargs="?", const="", type=home.find, metavar="CONFIG",
        help="say why a config (that of -c by default) is as fast as it is, what more would give, and stop",
    )  # fmt: skip
    run.add_argument(
        "--what-if", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="say what it would be, by simulation, with gpus=N, cores=N or cores_per_gpu=N, clients=N,"
        " decode_speed=FACTOR, step<i>=FACTOR, videos=1080p, codec=hevc, and stop; one of the numbers may be"
        " a list, or a range as gpus=1..1000, and rates=R,R asks for the GPUs that those rates need",
    )  # fmt: skip
    run.add_argument(
        "--html", type=page, metavar="FILE",
        help=f"where the page goes (default: {FILE_NAME} in the folder that it makes)",
    )  # fmt: skip
    run.add_argument("--data", default=DEFAULT_FOLDER, metavar="FOLDER", help="as benchmark.py's")
    run.add_argument("--checkpoint", metavar="FILE", help="as benchmark.py's")
    run.add_argument("--seed", type=whole_number(0, 2**63 - 1), default=0, metavar="N")
    run.add_argument("--logs", default="logs", metavar="FOLDER", help="(default %(default)s)")
    run.add_argument("--quiet", action="store_true", help="print only the result")
    run.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0 to 1")
    return share
