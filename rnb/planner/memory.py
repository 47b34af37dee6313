"""What a search knows, in its folder, so that it can go on later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnb.contract.termination import UsageError
from rnb.planner.dimension import frozen
from rnb.planner.goal import Prediction
from rnb.planner.profile import Profile
from rnb.planner.profile_folder import FACTS, read, write
from rnb.planner.space import Values
from rnb.record.run import Run
from rnb.record.run_folder import RunFolderError
from rnb.record.run_folder import read as read_run

SEARCH, SCREENED, PLAYED, PROFILE, BEST = (
    "optimize.json", "screened.jsonl", "played.jsonl", "profile", "best.json",
)  # fmt: skip


class Memory:
    """The folder of one search."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep_search(self, flags: Mapping[str, Any]) -> None:
        """What is asked for."""
        self.write_json(SEARCH, flags)

    def search(self) -> dict[str, Any]:
        """What was asked for. Raises UsageError for a folder that is none of a search."""
        try:
            found: dict[str, Any] = json.loads((self.folder / SEARCH).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.folder}: no folder of optimize.py: {error}") from None
        return found

    def write_json(self, name: str, data: Any) -> Path:
        """Raises UsageError."""
        path = self.folder / name
        try:
            path.write_text(json.dumps(data, indent=2, default=str) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
        return path

    def keep_profile(self, profile: Profile) -> None:
        write(profile, self.folder / PROFILE)

    def profile(self) -> Profile:
        """An empty one where there is none yet."""
        folder = self.folder / PROFILE
        return read(folder) if (folder / FACTS).exists() else Profile()

    def keep_screened(self, values: Values, found: Prediction) -> None:
        self._append(SCREENED, [values, found])

    def screened(self) -> dict[Values, Prediction]:
        return {_values(values): Prediction(*found) for values, found in self._lines(SCREENED)}

    def forget_screened(self) -> None:
        """The profile has changed."""
        (self.folder / SCREENED).unlink(missing_ok=True)

    def keep_played(self, values: Values, run: Run) -> None:
        self._append(PLAYED, [values, str(run.folder)])

    def played(self) -> dict[Values, list[Run]]:
        """The runs that are still there."""
        found: dict[Values, list[Run]] = {}
        for values, folder in self._lines(PLAYED):
            try:
                found.setdefault(_values(values), []).append(read_run(folder))
            except RunFolderError:
                continue
        return found

    def _append(self, name: str, line: Sequence[Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _lines(self, name: str) -> Iterator[Any]:
        path = self.folder / name
        if path.exists():
            # One that was being written when the power went is no line.
            complete = path.read_text(encoding="utf-8").rpartition("\n")[0]
            yield from map(json.loads, filter(None, complete.split("\n")))


def _values(values: Sequence[Any]) -> Values:
    """JSON has lists for tuples."""
    return tuple(frozen(value) for value in values)
