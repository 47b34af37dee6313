"""Several runs that belong together: run folders side by side in a folder of their own."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from rnb import console
from rnb.analysis.reasons import Reason
from rnb.driver import UsageError, prepare
from rnb.page.comparison_page import write_comparison_page
from rnb.page.destination import FILE_NAME
from rnb.page.page import PageError
from rnb.report import Result
from rnb.run_folder import RunFolderError

ALONE = {"find_peak": False, "repeat": None, "html": None}
"""The flags of a campaign, as each run of it has them: it could have been started alone."""


class RunFailed(Exception):
    """A run of a campaign failed, and not for its load: one line for the user."""


class Campaign:
    """Plays one run after the other; what each of them prints is not shown."""

    def __init__(self, args: argparse.Namespace, kind: str) -> None:
        """Check the arguments, then make the folder. Raises UsageError."""
        self._args = argparse.Namespace(**{**vars(args), **ALONE})
        prepare(self._args)
        self.folder = _create(Path(args.logs), kind)
        self._page = None if args.html is None else Path(args.html or self.folder / FILE_NAME)

    def run(self, **changes: Any) -> Result:
        """Play a run with some arguments changed. Raises UsageError; RunFailed unless a queue was full."""
        args = argparse.Namespace(**{**vars(self._args), "logs": str(self.folder), **changes})
        with console.muted() as warnings:
            result = prepare(args).run()
        if not result.is_success and not has_reason(result, Reason.QUEUE_FULL):
            for warning in warnings:
                console.warn(warning)
            raise RunFailed(f"the run in {result.run.folder} failed")
        return result

    def draw(self) -> bool:
        """Write the page about all runs, if it was asked for. Returns whether that went well."""
        if self._page is None:
            return True
        try:
            write_comparison_page(self._page, self.folder)
        except (PageError, RunFolderError) as error:
            console.warn(f"benchmark.py: {error}")
            return False
        console.say(f"page: {self._page}")
        return True


def has_reason(result: Result, reason: Reason) -> bool:
    """Whether a run is INVALID for this reason, perhaps among others."""
    return any(finding.reason is reason for finding in result.verdict.findings)


def _create(logs: Path, kind: str) -> Path:
    stamp = datetime.now().strftime("%y%m%d_%H%M%S")
    for number in range(1, 1000):
        folder = logs / (f"{stamp}-{kind}" if number == 1 else f"{stamp}-{kind}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"--logs {logs}: cannot make a folder there: {error.strerror}") from None
        return folder
    raise UsageError(f"--logs {logs}: a thousand campaigns in this second")
