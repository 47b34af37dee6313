"""benchmark.py: plays a load through a pipeline, or several, and says how it went."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from rnb.command_line.exit_status import EXIT_FAILED, EXIT_USAGE
from rnb.command_line.flags import Adder, parse_args
from rnb.show import console


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the flags ask for; returns the exit status."""
    return run("benchmark.py", argv)


def run(program: str, argv: Sequence[str] | None, add: Adder = lambda parser: None) -> int:
    """The same for a program with flags of its own, which `add` adds."""
    args = parse_args(argv, program=program, add=add)
    console.configure(program=program, quiet=args.quiet, json=args.json, verbose=args.verbose)
    # Imported here because every spawned process imports this file, and needs none of it.
    from rnb.command_line.commands import command_of
    from rnb.contract.termination import UsageError
    from rnb.processes.child import resume_garbage_collection

    resume_garbage_collection()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return command_of(args)()
    except UsageError as error:
        console.complain(f"error: {error}")
        return EXIT_USAGE
    except KeyboardInterrupt:  # between two runs: while one plays, it ends by itself
        console.complain("interrupted")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
