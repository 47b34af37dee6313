"""What benchmark.py can do: check, play a run, repeat it, search the peak, check itself.

Each is imported when it is asked for: imports are most of what --check, and the start of a short run, take.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from rnb.command_line.exit_status import EXIT_FAILED
from rnb.show import console

Command = Callable[[], int]
"""Returns the exit status; raises UsageError, KeyboardInterrupt."""


def command_of(args: argparse.Namespace) -> Command:
    """What the flags ask for."""
    if args.check and not args.self_check:
        from rnb.command_line.check_command import check

        return partial(check, args)
    if args.self_check or args.find_peak or args.repeat is not None:
        return _campaign_of(args)
    from rnb.command_line.play_command import play

    return partial(play, args)


def _campaign_of(args: argparse.Namespace) -> Command:
    from rnb.command_line.play_command import play_quietly

    player = partial(play_quietly, args)
    if args.self_check:
        from rnb.command_line.self_check_command import self_check

        return _told(partial(self_check, args.logs, player))
    if args.find_peak:
        from rnb.command_line.peak_command import find_peak

        return _told(partial(find_peak, args, player))
    from rnb.command_line.repeat_command import repeat

    return _told(partial(repeat, args, player))


def _told(command: Command) -> Command:
    """A command whose runs may fail: that is said in a line."""
    from rnb.campaigns.campaign import RunFailed
    from rnb.campaigns.self_check import SelfCheckError

    def run() -> int:
        try:
            return command()
        except RunFailed as error:
            console.complain(str(error), error.outcome.details)
        except SelfCheckError as error:
            console.complain(str(error))
        return EXIT_FAILED

    return run
