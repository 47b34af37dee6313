"""A comparison as text: who is who, what differs, the verdicts, the figures side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.comparison import FASTER, SLOWER, Contrast, Group, Member, letter
from rnb.analysis.estimate import Estimate
from rnb.analysis.figures import MAIN_FIGURES, Figure
from rnb.analysis.ratio import CONFIDENCE
from rnb.analysis.settings import UNKNOWN, differing_keys
from rnb.contract.events import END_TO_END
from rnb.show.text.width import elided, folded, wrapped

MAX_SIDE_BY_SIDE = 4
"""With more groups each becomes a row instead of a column."""
SMALL_MS = 1.0
"""Of a shorter stage the difference is shown, since percentages would be huge and mean nothing."""
MISSING = "-"
RATE = "mean_interval_ms"
"""What comes first among the settings in which runs differ."""
MAX_KEYS, MAX_VALUE = 2, 24
"""Settings in the label of a group, and characters of each."""


def comparison_lines(groups: Sequence[Group], contrasts: Sequence[Contrast], width: int) -> list[str]:
    """All of it, in lines of at most `width` characters where a word is no longer than that.

    `contrasts` are of the groups but the first with that one.
    """
    are_few = len(groups) <= MAX_SIDE_BY_SIDE
    turned = list if are_few else _transposed
    differences, names = _differences(groups), [letter(index) for index in range(len(groups))]
    if not are_few:
        names = [" ".join([letter(index), *_label(differences, index)]) for index in range(len(groups))]
    same = ["The flags, the configs and the machines are the same."]
    figures = _figures(groups, names, None if are_few else MAIN_FIGURES)
    blocks = [
        _legend(groups, width),
        folded(turned(differences), width) if len(differences) > 1 else same,
        wrapped(
            (
                line
                for name, one in zip(names[1:], contrasts, strict=True)
                for line in _verdict(name, one, are_few)
            ),
            width,
        ),
        folded(turned(figures), width),
        wrapped(_notes(groups, contrasts), width),
    ]
    return [line for block in blocks if block for line in ["", *block]][1:]


def _label(differences: Sequence[Sequence[str]], index: int) -> list[str]:
    """What tells a group from the others."""
    return [f"{row[0]} {elided(row[1 + index], MAX_VALUE)}" for row in differences[1 : 1 + MAX_KEYS]]


def _legend(groups: Sequence[Group], width: int) -> list[str]:
    return [
        line
        for index, group in enumerate(groups)
        for member in group.members
        for line in _entry(f"{letter(index)}  ", str(member.found.folder), _remark(member), width)
    ]


def _entry(head: str, folder: str, remark: str, width: int) -> list[str]:
    """The remark on a line of its own where both do not fit on one."""
    if len(head + folder + remark) <= width:
        return [head + folder + remark]
    rest = wrapped([f"     {remark.strip()}"], width) if remark else []
    return [head + elided(folder, width - len(head)), *rest]


def _remark(member: Member) -> str:
    if member.failure:
        return f"  (failed: {member.failure})"
    return f"  ({member.reservation})" if member.reservation else ""


def _differences(groups: Sequence[Group]) -> list[list[str]]:
    """The flags, config entries and facts in which the runs differ: a header, then a row each."""
    keys = differing_keys([member.settings for group in groups for member in group.members])
    keys.sort(key=lambda key: key != RATE)
    header = ["differs", *(letter(index) for index in range(len(groups)))]
    return [header, *([key, *(_setting(group, key) for group in groups)] for key in keys)]


def _setting(group: Group, key: str) -> str:
    values = list(dict.fromkeys(member.settings.get(key, UNKNOWN) for member in group.members))
    return values[0] if len(values) == 1 else f"{len(values)} values"


def _verdict(name: str, contrast: Contrast, is_long: bool) -> list[str]:
    """Whether a group is faster than A, in one line; and, if asked, what that rests on."""
    what = "throughput" if contrast.is_bulk else "mean latency"
    known = f"{what} {contrast.deciding}" if contrast.deciding else ""
    reason = "" if contrast.verdict in (FASTER, SLOWER) else f" ({contrast.reason})"
    head = f"{name} against A: {contrast.verdict}{reason}"
    return [head, *_grounds(contrast)] if is_long else [f"{head}  {known}"]


def _grounds(contrast: Contrast) -> list[str]:
    lines = [f"  results     {_agreement(contrast)}", f"  schedule    {_schedule(contrast)}"]
    if contrast.effects is None:
        return lines
    effects, decides = contrast.effects, " (decides)"
    throughput, latency = (decides, "") if contrast.is_bulk else ("", decides)
    return [
        *lines,
        f"  throughput  {effects.throughput}{throughput}",
        f"  latency     mean {effects.latency}, {effects.mean_ms:+.3f} ms{latency};"
        f" median {effects.median_ms.value:+.3f} ms",
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


def _figures(groups: Sequence[Group], names: Sequence[str], only: Sequence[Figure] | None) -> list[list[str]]:
    """A header, then a row for each figure: A's value, and of each other group value and difference."""
    header = ["", names[0]]
    for index in range(1, len(groups)):
        header += [names[index], f"Δ {letter(index)}"]
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
    notes = [*_cuts(groups)]
    if any(group.is_repeated for group in groups):
        notes.append("Of repeated runs: the mean over the runs ± its 95 % confidence interval (Student's t).")
    if any(one.effects for one in contrasts):
        notes.append(f"×: how many times the reference's; in brackets the {CONFIDENCE:.0%} interval.")
    if any(one.is_between_runs and one.effects and not one.is_in_turn for one in contrasts):
        notes.append(
            "Not played in turn (A B A B …): a change of the machine meanwhile looks like a difference, so"
            " the intervals are wider."
        )
    if any(not one.is_between_runs and one.effects for one in contrasts):
        notes.append(
            "One run on each side: the intervals hold the noise within these runs, not that from run to run,"
            " which 'faster' and 'slower' take; repeat both sides in turn, or with benchmark.py --repeat 5."
        )
    return notes


def _cuts(groups: Sequence[Group]) -> list[str]:
    """Which runs count only from their steady state on."""
    cut = [
        f"{letter(index)} from {member.steady_from_s:.1f} s on"
        for index, group in enumerate(groups)
        for member in group.members
        if member.steady_from_s is not None
    ]
    return [f"Figures are of the steady part of the run: {', '.join(cut)}."] if cut else []
