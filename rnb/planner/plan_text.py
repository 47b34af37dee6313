"""What a search found, as text."""

from __future__ import annotations

import string
from collections.abc import Sequence

from rnb.planner.bottleneck import bottleneck
from rnb.planner.goal import Goal
from rnb.planner.space import Space
from rnb.planner.verification import Verified
from rnb.show.text.table import align
from rnb.spec import Placement, RunSpec


def shown(space: Space, one: Verified) -> str:
    """What a candidate changes."""
    return ", ".join(space.changes(one.candidate.values)) or "the config as it is"


def result_lines(chosen: Sequence[Verified], goal: Goal, space: Space) -> list[str]:
    """The table of those that were chosen to be played, then what each one is, and what holds it up."""
    name, _ = goal.figure(chosen[0].predicted)
    rows = [["", f"predicted {name}", "measured", "error", "against A"]]
    notes = []
    for letter, one in zip(string.ascii_uppercase, chosen, strict=False):
        error = one.error(goal)
        rows.append(
            [
                letter,
                f"{goal.figure(one.predicted)[1]:.4g}",
                f"{goal.figure(one.measured)[1]:.4g}" if one.measured else "-",
                "-" if error is None else f"{error:+.1%}",
                verdict(one),
            ]
        )
        notes.append(f"{letter}: {shown(space, one)}")
        if one.runs:
            notes.append(f"   {bottleneck(one.runs[-1])}")
    if chosen[0].candidate.values != space.start:
        notes.insert(0, f"A is {standard(chosen, space)}")
    return [*align(rows), *notes]


def standard(chosen: Sequence[Verified], space: Space) -> str:
    """What A is, with which the others are compared."""
    if chosen[0].candidate.values == space.start:
        return "the config as it was"
    return "the best that was predicted, as the config as it was is ruled out"


def verdict(one: Verified) -> str:
    """Against the first, by the rules of compare.py."""
    if one.problem:
        return f"ruled out: {one.problem}"
    if one.contrast is None:
        return "-"
    deciding = one.contrast.deciding
    change = f" (×{deciding.value:.2f})" if deciding is not None else ""
    return one.contrast.verdict + (change if not one.contrast.reason else f": {one.contrast.reason}")


def flags_of(spec: RunSpec) -> str:
    """What a run takes beside its config, as flags."""
    default, placement = Placement(), spec.placement
    flags = {
        "-b": (placement.batch_size, default.batch_size),
        "-bt": (placement.batch_timeout_ms, default.batch_timeout_ms),
        "--device": (placement.device, default.device),
        "--checkpoint": (placement.checkpoint, default.checkpoint),
        "--data": (spec.load.data, type(spec.load)().data),
    }
    return " ".join(f"{flag} {value}" for flag, (value, usual) in flags.items() if value != usual)
