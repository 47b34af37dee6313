"""Several runs that belong together: run folders side by side in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from rnb.analysis.reasons import Reason
from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome
from rnb.contract.termination import UsageError
from rnb.faults.plan import plan_faults
from rnb.spec import RunSpec, plan_of, schedule_of


class Player(Protocol):
    """Plays and judges a run, in a folder of its own below the given one."""

    def __call__(self, spec: RunSpec, logs: Path, ending: EarlyEnd | None = None) -> Outcome:
        """`ending` observes the run, and may interrupt it. Raises UsageError, and KeyboardInterrupt where the
        user does."""


class RunFailed(Exception):
    """A run of a campaign failed, and not for its load: one line for the user."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Campaign:
    """Plays one run after the other."""

    def __init__(self, spec: RunSpec, logs: Path, kind: str, player: Player) -> None:
        """Check the run, then make the folder. Raises UsageError."""
        self.spec, self._player = spec, player
        settled, schedule = schedule_of(spec)
        plan_faults(spec.faults, plan_of(settled, num_requests=len(schedule)), schedule)
        self.folder = create(logs, kind)

    def run(self, spec: RunSpec | None = None, ending: EarlyEnd | None = None) -> Outcome:
        """Play the campaign's run, or another. Raises UsageError, RunFailed.

        A run that `ending` ended, one that filled a queue, and one whose server answered some requests have
        not failed.
        """
        outcome = self._player(self.spec if spec is None else spec, self.folder, ending)
        is_ended = ending is not None and ending.has_ended
        is_overload = outcome.has_reason(Reason.QUEUE_FULL) or _is_overloaded_server(outcome)
        if not outcome.is_success and not is_ended and not is_overload:
            raise RunFailed(f"the run in {outcome.run.folder} failed: {outcome.problem}", outcome)
        return outcome

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        """Write JSON beside the runs, over what was there. Raises UsageError."""
        path = self.folder / name
        try:
            path.write_text(json.dumps(data, indent=2, default=str) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _is_overloaded_server(outcome: Outcome) -> bool:
    served_some = outcome.run.meta.server is not None and outcome.summary.num_finished > 0
    return served_some and outcome.has_reason(Reason.REQUESTS_FAILED)


def create(logs: Path, kind: str) -> Path:
    """A folder of its own for several runs. Raises UsageError."""
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
