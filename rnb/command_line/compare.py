"""Compare runs from their folders: compare.py logs/A logs/B …, or all below a folder: compare.py logs"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rnb.analysis.comparison import THRESHOLD, contrast, group_members, members_of
from rnb.analysis.fail_condition import Unavailable, judge, parse_fail_condition
from rnb.analysis.run_search import RunSearch, search
from rnb.analysis.settings import SettingsError, select
from rnb.command_line.parser import Parser
from rnb.record.run_folder import RunFolderError
from rnb.show.console import say
from rnb.show.page.destination import page_path
from rnb.show.page.page import PageError, write_page
from rnb.show.page.subject import Findings, note_findings, subjects_compared
from rnb.show.text.comparison_text import comparison_lines
from rnb.show.text.width import terminal_width

EXIT_OK, EXIT_FIRED, EXIT_USAGE = 0, 1, 2
EPILOG = (
    "Exit status: 0 compared; 1 a --fail-if condition fires; 2 a wrong flag or folder, or no figure to judge:"
    " a failed or INVALID run, a single one."
)
Parsed = TypeVar("Parsed")


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        return _compare(args)
    except (RunFolderError, SettingsError, Unavailable, PageError) as error:
        print(f"compare.py: error: {error}", file=sys.stderr)
        return EXIT_USAGE


def _compare(args: argparse.Namespace) -> int:
    found = search(args.runs)
    # A run is read once, compared, and let go of: whatever else needs its requests takes them from here.
    runs = select(found.read(), dict(args.filter))
    findings: dict[Path, Findings] = {}
    members = members_of(note_findings(runs, findings) if args.html else runs)
    if not members:
        raise SettingsError(f"{_filters(args)}no run matches")
    groups = group_members(members, args.group_by)
    contrasts = [contrast(groups[0], group, args.threshold) for group in groups[1:]]
    say("\n".join([*comparison_lines(groups, contrasts, terminal_width()), *_skipped(found)]))
    if args.html:
        write_page(args.html, subjects_compared(groups, contrasts, findings))
        say(f"\npage: {args.html}")
    judgements = judge(groups, args.fail_if)
    for judgement in judgements:
        say(str(judgement))
    return EXIT_FIRED if any(judgement.fires for judgement in judgements) else EXIT_OK


def _filters(args: argparse.Namespace) -> str:
    return "".join(f"--filter {key}={value}: " for key, value in args.filter)


def _skipped(found: RunSearch) -> list[str]:
    """The folders below a named one that hold no complete run."""
    if not found.skipped:
        return []
    folders = ", ".join(sorted(map(str, found.skipped)))
    return ["", f"skipped, since they hold no complete run (name one to see why): {folders}"]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "compare.py", description="Compare runs; differences are to the first one.", epilog=EPILOG
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a run folder, RnB's or snuspl/rnb's, or a folder of such folders",
    )
    parser.add_argument(
        "--group-by", type=lambda text: text.split(","), metavar="KEY[,KEY]",
        help="runs alike in these flags or config entries are repeats (default: those alike in all of them);"
        " 'folder' tells all runs apart",
    )  # fmt: skip
    parser.add_argument(
        "--filter", type=_checked(_key_value), action="append", default=[], metavar="KEY=VALUE",
        help="only runs with this flag or config entry; * and ? in VALUE stand for any text and character",
    )  # fmt: skip
    parser.add_argument(
        "--fail-if", type=_checked(parse_fail_condition), action="append", default=[],
        metavar="FIGURE:±PERCENT%",
        help="exit with 1 when a figure of repeated runs is worse than the reference's by more, with all of"
        " its interval: p99:+5%%, throughput:-5%%",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=_checked(_percent), default=THRESHOLD, metavar="PERCENT",
        help=f"a smaller change is neither faster nor slower (default {THRESHOLD * 100:g})",
    )  # fmt: skip
    parser.add_argument(
        "--html", type=_checked(page_path), metavar="FILE", help="write a page with the pictures, too"
    )
    return parser


def _checked(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """Shows argparse the message of a ValueError."""

    def checked(text: str) -> Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text}: must be KEY=VALUE")
    return key, value


def _percent(text: str) -> float:
    share = float(text) / 100
    if not 0 <= share < 1:
        raise ValueError(f"{text}: must be at least 0 and below 100")
    return share


if __name__ == "__main__":
    sys.exit(main())
