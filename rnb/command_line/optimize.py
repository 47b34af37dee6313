"""optimize.py: finds the placement of a pipeline that serves a goal best."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from rnb.campaigns.campaign import RunFailed
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_USAGE
from rnb.command_line.explain_command import explain_config
from rnb.command_line.optimize_flags import parse_args
from rnb.command_line.search_command import FEWEST, Search
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.pipeline.config import read_config
from rnb.planner.memory import Memory
from rnb.processes.child import resume_garbage_collection
from rnb.record.run_folder import RunFolderError
from rnb.show import console
from rnb.show.page.page import PageError
from rnb.spec import Placement, RunSpec, check_nodes


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the flags ask for; returns the exit status."""
    args = parse_args(argv)
    console.configure(program="optimize.py", quiet=args.quiet, json=args.json)
    resume_garbage_collection()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if args.explain is not None or args.what_if:
            return explain_config(args, _spec_of(args))
        args = _as_asked(args)
        return Search(args, _spec_of(args)).run()
    except (UsageError, RunFolderError) as error:
        console.complain(f"error: {error}")
        return EXIT_USAGE
    except RunFailed as error:
        console.complain(str(error), error.outcome.details)
        return EXIT_FAILED
    except PageError as error:
        console.complain(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        console.complain("interrupted")
        return EXIT_FAILED


def _as_asked(args: argparse.Namespace) -> argparse.Namespace:
    """With what an earlier search that is resumed was asked. Raises UsageError."""
    if args.resume is None:
        return args
    now = {"budget": args.budget, "resume": args.resume, "html": args.html}
    return argparse.Namespace(**{**vars(args), **Memory(Path(args.resume)).search(), **now})


def _spec_of(args: argparse.Namespace) -> RunSpec:
    """The config as it is. Raises UsageError."""
    spec = RunSpec(
        config=read_config(args.config_file_path),
        load=Load(data=args.data, seed=args.seed, videos=FEWEST, mean_interval_ms=0),
        placement=Placement(
            batch_size=args.batch_size, device=args.device, checkpoint=args.checkpoint, queue_size=10_000
        ),
    )
    check_nodes(spec)
    return spec
