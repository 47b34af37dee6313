"""The command line of benchmark.py."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rnb import home
from rnb.command_line.number_types import more_than_0, number, percentile, up_to, whole_number
from rnb.command_line.parser import Parser
from rnb.command_line.server_flags import NOT_OF_A_SERVER, add_server_group, check_server_flags
from rnb.contract.fault import Fault
from rnb.load.arrivals import PROCESSES, Ramp
from rnb.load.load import REPLAYED, Load
from rnb.load.streams import Streams
from rnb.load.videos import DEFAULT_FOLDER, EXTENSIONS
from rnb.show.page.destination import FILE_NAME, page_path
from rnb.show.trace import MOST_REQUESTS
from rnb.transport.nixl import CARRIERS

if TYPE_CHECKING:
    from rnb.pipeline.config import ConfigFile
    from rnb.spec import RunSpec, Server

Kind = TypeVar("Kind")
DESCRIPTION = "Play a load of videos through a pipeline of replicated steps on GPUs, and measure it."
EPILOG = (
    "Exit status: 0 VALID or NOT JUDGED; 1 the run failed; 2 a wrong flag or config; 3 the run ended well,"
    " but is INVALID."
)


DEFAULT_MEAN_INTERVAL_MS, DEFAULT_NUM_VIDEOS = 100, 2000


Adder = Callable[[argparse.ArgumentParser], None]
"""Adds flags to a parser."""


def parse_args(
    argv: Sequence[str] | None = None,
    *,
    program: str = "benchmark.py",
    add: Adder = lambda parser: None,
) -> argparse.Namespace:
    """Parse the command line of a program that has these flags, and those that `add` adds."""
    parser = _parser(program)
    add(parser)
    args = parser.parse_args(argv)
    try:
        _settle_load(args, _given(parser, argv, vars(args)))
    except ValueError as error:
        parser.error(str(error))
    return args


def spec_of(args: argparse.Namespace) -> RunSpec:
    """The run that the flags describe; reads the config. Raises UsageError."""
    from rnb.pipeline.config import read_config
    from rnb.spec import Limits, Placement, RunSpec, Server

    num_nodes = 1
    if args.cluster is not None:
        from rnb.cluster.cluster import cluster_at

        num_nodes = len(cluster_at(args.cluster).hosts)
    observed = {"telemetry": args.telemetry, "occupancy": args.occupancy}
    server = some(args, Server) if args.url else None
    spec = RunSpec(
        config=_read_server(server) if server else read_config(args.config_file_path),
        server=server,
        load=some(args, Load),
        placement=some(args, Placement),
        limits=some(args, Limits),
        observe=(*(name for name, is_asked in observed.items() if is_asked), *args.observe),
        memory=args.memory,
        faults=tuple(args.fault),
        num_nodes=num_nodes,
    )
    if args.alone is None:
        return spec
    from rnb.campaigns.alone import client_alone, step_alone

    return client_alone(spec) if args.alone == "client" else step_alone(spec, args.alone)


def _read_server(server: Server) -> ConfigFile:
    from rnb.remote.served import read_server

    return read_server(server)


def some(args: argparse.Namespace, kind: type[Kind]) -> Kind:
    """The dataclass whose fields have the names of flags."""
    return kind(**{field.name: getattr(args, field.name) for field in dataclasses.fields(kind)})  # type: ignore[arg-type]


def _parser(program: str) -> argparse.ArgumentParser:
    parser = Parser(program, description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)
    _add_load_group(parser)
    pipeline = add_pipeline_group(parser)
    pipeline.add_argument(
        "--cluster", metavar="ADDRESS",
        help="several machines, which the config names as node:GPU: those of the Ray cluster at this address,"
        " auto for the one that this machine is in, or local:N for N nodes that are all this machine",
    )  # fmt: skip
    pipeline.add_argument(
        "--carrier", choices=CARRIERS, default="tcp",
        help="what brings tensors to another node: TCP, or NIXL where it is installed (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "--send-files", action="store_true",
        help="the file that a request names goes along with it to another node, which needs no --data then",
    )  # fmt: skip
    pipeline.add_argument(
        "-qs", "--queue_size", type=whole_number(1), default=500, metavar="N",
        help="most messages in a queue; a put into a full queue ends the run (default %(default)s;"
        " with -mi 0 the queues hold all requests)",
    )  # fmt: skip
    add_server_group(parser)
    _add_figures_group(parser)
    _add_campaign_group(parser)
    _add_run_group(parser)
    parser.set_defaults(alone=None)
    return parser


def _given(parser: argparse.ArgumentParser, argv: Sequence[str] | None, names: Iterable[str]) -> set[str]:
    """Which of the flags the command line names, by attribute."""
    unset: list[object] = []  # a list, since --observe appends to a copy of what is there
    args = parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(names, unset)))
    return {name for name, value in vars(args).items() if value is not unset}


_RULES_OUT = {
    "replay": ("the run says which requests arrive when", set(REPLAYED) - {"data"}),
    "arrivals_file": ("it says when requests arrive", ("mean_interval_ms", "burstiness", "ramp")),
    "ramp": ("it sets the rate", ("mean_interval_ms",)),
    "duration": ("it says how many requests there are", ("videos",)),
    "streams": (
        "it says when requests arrive",
        ("mean_interval_ms", "arrivals", "ramp", "replay", "sequences", "sequence_length"),
    ),
    "url": ("how it serves is the server's own", NOT_OF_A_SERVER),
    "find_peak": ("it sets the rate", ("ramp", "arrivals_file", "replay", "repeat")),
}
"""Flags that leave nothing for others to say: why, and which."""
_SHORT = {
    "mean_interval_ms": "-mi", "videos": "-v", "config_file_path": "-c", "per_gpu_queue": "-p",
    "queue_size": "-qs", "batch_size": "-b", "batch_timeout_ms": "-bt",
}  # fmt: skip


def _settle_load(args: argparse.Namespace, given: set[str]) -> None:
    """Check the flags of the load against each other and fill in defaults. Raises ValueError.

    How many videos and which mean interval a schedule has that is not drawn from them is known when it is
    made; until then they are None.
    """
    for name, (reason, excluded) in _RULES_OUT.items():
        if name in given and (too_many := sorted(map(_flag, given.intersection(excluded)))):
            raise ValueError(f"{_flag(name)}: {reason}; leave out {', '.join(too_many)}")
    for name, process in (("arrivals_file", "trace"), ("burstiness", "gamma")):
        if name in given and args.arrivals != process:
            raise ValueError(f"{_flag(name)}: only for --arrivals {process}, not {args.arrivals}")
    check_server_flags(args, given)
    if "sequence_length" in given and args.sequences is None:
        raise ValueError("--sequence-length: only with --sequences N")
    for name in ("fps", "every", "max_lateness"):
        if name in given and args.streams is None:
            raise ValueError(f"{_flag(name)}: only with --streams N")
    if args.streams is not None:
        args.mean_interval_ms = Streams(num=args.streams, fps=args.fps, every=args.every).interval_ms
    if args.arrivals == "trace" and args.arrivals_file is None:
        raise ValueError("--arrivals trace: needs --arrivals-file FILE with the times")
    if args.mean_interval_ms == 0 and args.duration is not None:
        raise ValueError("--duration: with -mi 0 all requests arrive at once; say with -v how many")
    if args.find_peak and args.slo is None:
        raise ValueError("--find-peak: needs --slo MS, the bound that it searches")
    is_read = args.replay is not None or args.arrivals == "trace"
    if args.find_peak and args.mean_interval_ms is None and not args.check:
        args.mean_interval_ms = 0  # a run with all requests at once tells where to begin
    if args.mean_interval_ms is None and not is_read and args.ramp is None:
        args.mean_interval_ms = DEFAULT_MEAN_INTERVAL_MS
    if args.videos is None and not is_read and args.duration is None:
        args.videos = DEFAULT_NUM_VIDEOS


def _flag(name: str) -> str:
    return _SHORT.get(name, f"--{name.replace('_', '-')}")


def _add_load_group(parser: argparse.ArgumentParser) -> None:
    load = parser.add_argument_group("load")
    load.add_argument(
        "-mi", "--mean_interval_ms", type=number(0), metavar="MS",
        help=f"mean gap between requests; 0 = all at once (default {DEFAULT_MEAN_INTERVAL_MS})",
    )  # fmt: skip
    load.add_argument(
        "-v", "--videos", type=whole_number(1), metavar="N",
        help="how many videos to play and measure; the list is repeated as often as needed"
        f" (default {DEFAULT_NUM_VIDEOS})",
    )  # fmt: skip
    load.add_argument(
        "--duration", type=more_than_0, metavar="S",
        help="in the place of -v: play and measure what arrives in so many seconds",
    )  # fmt: skip
    load.add_argument(
        "--warmup", type=whole_number(0), default=0, metavar="N",
        help="requests that are played before those, without a pause, and not measured (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--arrivals", choices=PROCESSES, default="poisson",
        help="the process of arrivals; trace reads them from --arrivals-file (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--burstiness", type=more_than_0, metavar="B",
        help="of gamma: the shape of the gaps' distribution; 1 is Poisson, less is more bursty (default 1)",
    )  # fmt: skip
    load.add_argument(
        "--arrivals-file", metavar="FILE",
        help="of trace: a CSV with the seconds from the start in its first column, ascending",
    )  # fmt: skip
    load.add_argument(
        "--ramp", type=_ramp, metavar="START:END:SECONDS",
        help="in the place of -mi: a rate that goes from START to END requests/s in SECONDS and then stays",
    )  # fmt: skip
    load.add_argument(
        "--replay", metavar="RUN",
        help="a run folder whose load is played again: the same times, videos, warm-up and seed",
    )  # fmt: skip
    load.add_argument(
        "--sequences", type=whole_number(1), metavar="N",
        help="requests belong to sequences, of which N are under way at once, a request of each in turn;"
        " each plays one video",
    )  # fmt: skip
    load.add_argument(
        "--sequence-length", type=whole_number(1), default=20, metavar="N",
        help="of --sequences: requests of a sequence (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--streams", type=whole_number(1), metavar="N",
        help="N live videos at --fps frames a second each, from the start to the end of the run; a request is"
        " a frame, and each stream a sequence (docs/streams.md)",
    )  # fmt: skip
    load.add_argument(
        "--fps", type=up_to(1_000_000), default=30, metavar="F",
        help="of --streams: frames a second of each (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--every", type=whole_number(1), default=1, metavar="K",
        help="of --streams: every K-th frame is a request (default %(default)s: all)",
    )  # fmt: skip
    load.add_argument(
        "--max-lateness", type=more_than_0, metavar="MS",
        help="of --streams: a frame that a replica gets later than that after it was due is dropped, and"
        " counted (default: none is)",
    )  # fmt: skip
    load.add_argument(
        "--clients", type=whole_number(1, 1000), default=1, metavar="N",
        help="client processes, which send in turn (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--data", default=DEFAULT_FOLDER, metavar="FOLDER",
        help=f"videos ({', '.join(sorted(EXTENSIONS))}) as FOLDER/label/video or flat (default %(default)s)",
    )  # fmt: skip
    load.add_argument(
        "--seed", type=whole_number(0, 2**63 - 1), default=0, metavar="N",
        help="draws arrival times, sampled clips and random weights (default %(default)s)",
    )  # fmt: skip


def add_pipeline_group(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The config, and how it is placed."""
    pipeline = parser.add_argument_group("pipeline")
    pipeline.add_argument(
        "-c", "--config_file_path", type=home.find, default="config/r2p1d-whole.json", metavar="FILE",
        help="the pipeline configuration (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "-p", "--per_gpu_queue", action="store_true",
        help="one queue per GPU between two steps instead of one for all; all steps must use the same GPUs",
    )  # fmt: skip
    pipeline.add_argument(
        "-b", "--batch_size", type=whole_number(1), default=1, metavar="N",
        help="videos per inference call (default %(default)s)",
    )  # fmt: skip
    pipeline.add_argument(
        "-bt", "--batch_timeout_ms", type=number(0), default=10, metavar="MS",
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
    return pipeline


def _add_figures_group(parser: argparse.ArgumentParser) -> None:
    figures = parser.add_argument_group("figures")
    figures.add_argument(
        "--slo", type=more_than_0, metavar="MS",
        help="how long a request may take, from when it was due; goodput counts those that take no longer",
    )  # fmt: skip
    figures.add_argument(
        "--percentile", type=percentile, metavar="P",
        help="the percentile that --slo is for: VALID only where it is shown to be within it, with 99 %%"
        " confidence; without --slo: VALID only with enough requests for this percentile (default 99)",
    )  # fmt: skip
    figures.add_argument(
        "--min-duration", type=number(0), metavar="S",
        help="how long the measured phase must take to be VALID (with --slo or --percentile 60, else 0)",
    )  # fmt: skip


def _add_campaign_group(parser: argparse.ArgumentParser) -> None:
    campaign = parser.add_argument_group("several runs")
    campaign.add_argument(
        "--find-peak", action="store_true",
        help="search the highest rate that keeps --slo at --percentile, from the rate of -mi (default: half"
        " of what a run with all requests at once gives); each probe is a run",
    )  # fmt: skip
    campaign.add_argument(
        "--repeat", type=whole_number(1), metavar="N",
        help="the same run N times, and how far its figures differ from run to run",
    )  # fmt: skip


def _add_run_group(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument_group("run")
    run.add_argument(
        "--logs",
        default="logs",
        metavar="FOLDER",
        help="where the run's folder is made (default %(default)s)",
    )
    run.add_argument(
        "--max-failures", type=whole_number(0), default=0, metavar="N",
        help="how many requests may fail, say for a bad video, before the run does (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--retries", type=whole_number(0), metavar="N",
        help="how often a request that fails, or whose replica dies, is tried again, by another replica where"
        " there is one (docs/jobs.md; default: those that fail not at all)",
    )  # fmt: skip
    run.add_argument(
        "--restart", type=whole_number(0), default=0, metavar="N",
        help="how often each replica that dies is replaced, and over several nodes each node, and what it had"
        " done again; by default the first death ends the run (docs/jobs.md)",
    )  # fmt: skip
    run.add_argument(
        "--no-telemetry", dest="telemetry", action="store_false",
        help="do not sample the use of GPUs, CPUs and memory beside the run",
    )  # fmt: skip
    run.add_argument(
        "--quiet", action="store_true", help="print only the result's essentials, and errors; no progress"
    )
    run.add_argument(
        "--verbose", action="store_true",
        help="print the arguments, the lines that snuspl/rnb prints, and every stage, too",
    )  # fmt: skip
    run.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")
    run.add_argument(
        "--occupancy", action="store_true",
        help="sample the GPUs' counters and trace some kernels; needs ./build_cupti.sh (docs/cupti.md)",
    )  # fmt: skip
    run.add_argument(
        "--memory", action="store_true",
        help="note what each replica holds after each call, and see whether that grows (docs/jobs.md)",
    )  # fmt: skip
    run.add_argument(
        "--observe", action="append", default=[], metavar="CLASS",
        help="have an observer of your own watch the run, by import path (docs/architecture.md)",
    )  # fmt: skip
    run.add_argument(
        "--fault", action="append", type=_fault, default=[], metavar="FAULT",
        help="do something to the run on purpose, and report what that did: kill:step1@10s,"
        " stall:step1*2s@10s, slow:step0*1.3@50%%, cpu:3@50%%, gpu-memory:8GB@5s (docs/faults.md)",
    )  # fmt: skip
    run.add_argument(
        "--trace", type=whole_number(1), nargs="?", const=MOST_REQUESTS, metavar="N",
        help="write trace.json.gz for https://ui.perfetto.dev; of more than N requests (default %(const)s) it"
        " shows the first ones and the slowest ones, half of N each",
    )  # fmt: skip
    run.add_argument(
        "--html", type=page, nargs="?", const="", metavar="FILE",
        help=f"write a page with the pictures; without FILE it is {FILE_NAME} in the run's folder",
    )  # fmt: skip
    run.add_argument("--check", action="store_true", help="print the resolved plan and stop")
    run.add_argument(
        "--self-check", action="store_true",
        help="play steps with known service times and compare with queueing theory, in about a minute",
    )  # fmt: skip


def page(text: str) -> str:
    """Empty: in the run's folder."""
    try:
        return str(page_path(text)) if text else text
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fault(text: str) -> str:
    try:
        Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None
    return text


def _ramp(text: str) -> str:
    try:
        Ramp.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None
    return text
