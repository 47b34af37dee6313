"""Where the time went until a run started, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from rnb.record.start_up import Phase
from rnb.show.text.table import align

HEADER = ("start-up", "times", "from s", "to s", "longest s", "median s")


def start_up_text(phases: Sequence[Phase], kinds: Mapping[str, str]) -> str:
    """A row for what processes of a kind did, by when the first of them began with it.

    `kinds`: by the name of a process; one that is not in there is a kind of its own.
    """

    def key(phase: Phase) -> tuple[str, str]:
        return kinds.get(phase.process, phase.process), phase.what

    groups = [(name, list(group)) for name, group in groupby(sorted(phases, key=key), key)]
    groups.sort(key=lambda one: min(phase.from_s for phase in one[1]))
    return "\n".join(align([HEADER, *(_row(f"{kind}: {what}", group) for (kind, what), group in groups)]))


def _row(name: str, group: Sequence[Phase]) -> Sequence[str]:
    seconds = sorted(phase.seconds for phase in group)
    first, last = min(phase.from_s for phase in group), max(phase.to_s for phase in group)
    return (
        name,
        str(len(group)),
        *(f"{value:.2f}" for value in (first, last, seconds[-1], seconds[len(seconds) // 2])),
    )
