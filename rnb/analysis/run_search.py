"""From the folders named on a command line to the run folders in them, each once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnb.record.run import Run
from rnb.record.run_folder import RunFolderError, read

RUN_FILES = ("run.json", "log-meta.txt")
"""A folder that has one of them is a run folder, RnB's or snuspl/rnb's."""


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """A run folder, and how it was found."""

    folder: Path
    swept: str | None
    """The named folder that it lies below; None when the run folder was named itself."""


@dataclass(kw_only=True)
class RunSearch:
    """The run folders that were found, and those below a swept folder that hold no complete run."""

    found: list[FoundRun]
    skipped: list[Path] = field(default_factory=list)

    def read(self) -> Iterator[tuple[FoundRun, Run]]:
        """Read each run as it is asked for. A damaged one is skipped below a swept folder.

        Raises RunFolderError for a damaged one that was named itself.
        """
        for found in self.found:
            try:
                run = read(found.folder)
            except RunFolderError:
                if found.swept is None:
                    raise
                self.skipped.append(found.folder)
            else:
                yield found, run


def search(arguments: Sequence[str | Path]) -> RunSearch:
    """Find the runs: an argument is a run folder, or a folder with run folders somewhere below it.

    A folder reached twice, by another path or through a link, counts where it was first named.
    """
    search = RunSearch(found=[])
    seen: set[tuple[int, int]] = set()
    for argument in arguments:
        runs, empty = _below(Path(argument))
        is_swept = runs != [Path(argument)]
        new = [folder for folder in runs if _is_new(folder, seen)]
        search.found += [FoundRun(folder=folder, swept=str(argument) if is_swept else None) for folder in new]
        search.skipped += empty
    return search


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The run folders in a folder, and the folders at its ends that are none.

    Without any run folder it is itself the only one, so that reading it says what is wrong with it.
    """
    runs, empty = [], []
    for parent, folders, files in os.walk(folder):
        if any(name in files for name in RUN_FILES):
            runs.append(Path(parent))
            folders.clear()
        elif not folders:
            empty.append(Path(parent))
        folders.sort()
    return (runs, empty) if runs else ([folder], [])


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(folder)
    except OSError:
        return True  # reading it says what is wrong
    identity = status.st_dev, status.st_ino
    is_new = identity not in seen
    seen.add(identity)
    return is_new
