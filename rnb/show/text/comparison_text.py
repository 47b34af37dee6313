"""A comparison as text: who is who, what differs, the verdicts, the figures side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.comparison import INCONCLUSIVE, Contrast, Group, Member, letter
from rnb.analysis.estimate import Estimate
from rnb.analysis.figures import MAIN_FIGURES, Figure
from rnb.analysis.settings import UNKNOWN, differing_keys
from rnb.contract.events import END_TO_END
from rnb.show.text.table import align

MAX_SIDE_BY_SIDE = 4
"""With more groups each becomes a row instead of a column."""
SMALL_MS = 1.0
"""Of a shorter stage the difference is shown, since percentages would be huge and mean nothing."""
MISSING = "-"


def comparison_lines(groups: Sequence[Group], contrasts: Sequence[Contrast]) -> list[str]:
    """All of it; `contrasts` are of the groups but the first with that one."""
    are_few = len(groups) <= MAX_SIDE_BY_SIDE
    turned = list if are_few else _transposed
    differences = _differences(groups)
    same = ["The flags, the configs and the machines are the same."]
    blocks = [
        _legend(groups),
        align(turned(differences)) if len(differences) > 1 else same,
        [line for index, one in enumerate(contrasts, 1) for line in _verdict(index, one, are_few)],
        align(turned(_figures(groups, None if are_few else MAIN_FIGURES))),
        _notes(groups, contrasts),
    ]
    return [line for block in blocks if block for line in ["", *block]][1:]


def _legend(groups: Sequence[Group]) -> list[str]:
    return [
        f"{letter(index)}  {member.found.folder}{_remark(member)}"
        for index, group in enumerate(groups)
        for member in group.members
    ]


def _remark(member: Member) -> str:
    if member.failure:
        return f"  (failed: {member.failure})"
    return f"  ({member.reservation})" if member.reservation else ""


def _differences(groups: Sequence[Group]) -> list[list[str]]:
    """The flags, config entries and facts in which the runs differ: a header, then a row each."""
    keys = differing_keys([member.settings for group in groups for member in group.members])
    header = ["differs", *(letter(index) for index in range(len(groups)))]
    return [header, *([key, *(_setting(group, key) for group in groups)] for key in keys)]


def _setting(group: Group, key: str) -> str:
    values = list(dict.fromkeys(member.settings.get(key, UNKNOWN) for member in group.members))
    return values[0] if len(values) == 1 else f"{len(values)} values"


def _verdict(index: int, contrast: Contrast, is_long: bool) -> list[str]:
    """Whether a group is faster than A, in one line; and, if asked, what that rests on."""
    what = "throughput" if contrast.is_bulk else "mean latency"
    known = f"{what} {_share(contrast.deciding)}" if contrast.deciding else ""
    reason = f" ({contrast.reason})" if contrast.verdict == INCONCLUSIVE else ""
    head = f"{letter(index)} against A: {contrast.verdict}{reason}"
    return [head, *_grounds(contrast)] if is_long else [f"{head}  {known}"]


def _grounds(contrast: Contrast) -> list[str]:
    lines = [f"  results     {_agreement(contrast)}", f"  schedule    {_schedule(contrast)}"]
    if contrast.effects is None:
        return lines
    effects, decides = contrast.effects, " (decides)"
    latency = f"mean {_share(effects.latency)}, {_milliseconds(effects.mean_ms)}"
    return [
        *lines,
        f"  throughput  {_share(effects.throughput)}{decides if contrast.is_bulk else ''}",
        f"  latency     {latency}{'' if contrast.is_bulk else decides};"
        f" median {_milliseconds(effects.median_ms)}",
    ]


def _agreement(contrast: Contrast) -> str:
    if not contrast.num_compared:
        return "not to be compared: no request has one in both, or the seeds differ"
    return f"{contrast.num_agreeing} of {contrast.num_compared} requests have the same as in A"


def _schedule(contrast: Contrast) -> str:
    difference = next((one.schedule_difference for one in contrast.overlaps if not one.is_paired), "")
    if difference:
        return f"not the same, so compared unpaired: {difference}"
    how = "compared run by run" if contrast.is_between_runs else "paired by request"
    return f"the same videos at the same times, {how}"


def _share(estimate: Estimate) -> str:
    margin = "" if estimate.margin is None else f" ± {estimate.margin * 100:.1f}"
    return f"{estimate.value * 100:+.1f}{margin} %"


def _milliseconds(estimate: Estimate) -> str:
    margin = "" if estimate.margin is None else f" ± {estimate.margin:.3f}"
    return f"{estimate.value:+.3f}{margin} ms"


def _figures(groups: Sequence[Group], only: Sequence[Figure] | None) -> list[list[str]]:
    """A header, then a row for each figure: A's value, and of each other group value and difference."""
    header = ["", "A"]
    for index in range(1, len(groups)):
        header += [letter(index), f"Δ {letter(index)}"]
    found = dict.fromkeys(figure for group in groups for member in group.members for figure in member.figures)
    shown = [figure for figure in found if only is None or figure in only]
    step_names = _common_step_names(groups)
    return [
        header,
        *(
            [figure.title(step_names), *_cells(figure, [group.figure(figure) for group in groups])]
            for figure in shown
        ),
    ]


def _common_step_names(groups: Sequence[Group]) -> Sequence[str]:
    """None where they differ."""
    all_names = {member.step_names for group in groups for member in group.members}
    return all_names.pop() if len(all_names) == 1 else ()


def _cells(figure: Figure, values: Sequence[Estimate | None]) -> list[str]:
    cells = [_value(values[0])]
    for value in values[1:]:
        cells += [_value(value), _change(figure, values[0], value)]
    return cells


def _value(estimate: Estimate | None) -> str:
    if estimate is None:
        return MISSING
    margin = "" if estimate.margin is None else f" ± {_number(estimate.margin)}"
    return f"{_number(estimate.value)}{margin}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else f"{value:.3f}"


def _change(figure: Figure, first: Estimate | None, other: Estimate | None) -> str:
    if first is None or other is None:
        return MISSING
    if figure.stage not in (None, END_TO_END) and abs(first.value) < SMALL_MS:
        return f"{other.value - first.value:+.3f} ms"
    return f"{(other.value - first.value) / abs(first.value):+.1%}" if first.value else MISSING


def _transposed(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _notes(groups: Sequence[Group], contrasts: Sequence[Contrast]) -> list[str]:
    notes = []
    if any(group.is_repeated for group in groups):
        notes.append("Of repeated runs: the mean over the runs ± its 95 % confidence interval (Student's t).")
    if any(not one.is_between_runs and one.effects for one in contrasts):
        notes.append(
            "One run on each side: the intervals (±, 95 %) hold the noise within these runs, not that from"
            " run to run; benchmark.py --repeat 5 shows it."
        )
    return notes
