"""Compare runs from their folders: python compare.py logs/A logs/B …"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnb.analysis.statistics import Summary, align, summarize
from rnb.console import say
from rnb.run_folder import Run, RunFolderError, read

EXIT_OK, EXIT_USAGE = 0, 2


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "compare.py", description="Compare runs; differences are to the first one."
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder, RnB's or snuspl/rnb's")
    args = parser.parse_args(argv)
    try:
        runs = [read(folder) for folder in args.runs]
    except RunFolderError as error:
        print(f"compare.py: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    say("\n".join([*_legend(runs), "", *_differences(runs), "", *_figures(runs), *_agreement(runs)]))
    return EXIT_OK


def _legend(runs: Sequence[Run]) -> list[str]:
    return [f"{_letter(index)}  {run.folder}{_status(run)}" for index, run in enumerate(runs)]


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else f"#{index + 1}"


def _status(run: Run) -> str:
    return f"  (failed: {run.meta.message})" if run.meta and not run.meta.is_success else ""


def _differences(runs: Sequence[Run]) -> list[str]:
    """The flags and the config entries in which the runs differ."""
    described = [{**_flat("", run.args), **_flat("config", run.config)} for run in runs]
    keys = list(dict.fromkeys(key for settings in described for key in settings))
    values = {key: [str(settings.get(key, "-")) for settings in described] for key in keys}
    rows = [[key, *row] for key, row in values.items() if len(set(row)) > 1]
    if not rows:
        return ["The flags and the configs are the same."]
    return align([["differs", *map(_letter, range(len(runs)))], *rows])


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Nested JSON as paths like config.pipeline[1].gpus to values."""
    if isinstance(value, dict) and value:
        joined = ((f"{prefix}.{key}" if prefix else str(key), inner) for key, inner in value.items())
        return {path: leaf for key, inner in joined for path, leaf in _flat(key, inner).items()}
    if isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        return {
            path: leaf
            for i, entry in enumerate(value)
            for path, leaf in _flat(f"{prefix}[{i}]", entry).items()
        }
    return {prefix: value}


def _figures(runs: Sequence[Run]) -> list[str]:
    step_names = _common_step_names(runs)
    summaries = [
        summarize(run.events, run.times, run.requests, seconds=run.seconds, step_names=step_names)
        for run in runs
    ]
    header = ["", "A"]
    for index in range(1, len(runs)):
        header += [_letter(index), f"Δ {_letter(index)}"]
    return align([header, *_rows(summaries)])


def _common_step_names(runs: Sequence[Run]) -> list[str]:
    """None where they differ or a run does not know them, so that the steps of the runs share their rows."""
    names = [run.meta.step_names if run.meta else [] for run in runs]
    return names[0] if all(other == names[0] for other in names) else []


def _rows(summaries: Sequence[Summary]) -> list[list[str]]:
    figures = [_named_figures(summary) for summary in summaries]
    names = list(dict.fromkeys(name for figure in figures for name in figure))
    return [[name, *_cells([figure.get(name) for figure in figures])] for name in names]


def _named_figures(summary: Summary) -> dict[str, float | None]:
    whole = {"finished": float(summary.num_finished), "videos/s": summary.videos_per_s}
    latency = {
        f"end to end {percentile} ms": value
        for entry in summary.durations
        if entry.name == "end to end"
        for percentile, value in [("mean", entry.mean_ms), *entry.percentiles_ms.items()]
    }
    stages = {
        f"{entry.name} mean ms": entry.mean_ms for entry in summary.durations if entry.name != "end to end"
    }
    return {**whole, **latency, **stages}


def _cells(values: Sequence[float | None]) -> list[str]:
    cells = [_number(values[0])]
    for value in values[1:]:
        cells += [_number(value), _change(values[0], value)]
    return cells


def _change(first: float | None, other: float | None) -> str:
    return "-" if not first or other is None else f"{(other - first) / abs(first):+.1%}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value.is_integer() else f"{value:.3f}"


def _agreement(runs: Sequence[Run]) -> list[str]:
    """Whether the runs found the same classes for the same requests, where they have any."""
    lines = []
    for index, run in enumerate(runs[1:], 1):
        num_same, num_both = _count_same(runs[0], run)
        if num_both:
            lines.append(f"results of A and {_letter(index)}: {num_same} of {num_both} requests the same")
    return ["", *lines] if lines else []


def _count_same(one: Run, other: Run) -> tuple[int, int]:
    """Of the requests that have a class in both runs and are the same video: those with equal classes."""
    if "label" not in one.requests or "label" not in other.requests:
        return 0, 0
    _, left, right = np.intersect1d(
        one.requests["request_id"], other.requests["request_id"], assume_unique=True, return_indices=True
    )
    a, b = (
        {name: run.requests[name][rows] for name in ("label", "status", "video")}
        for run, rows in ((one, left), (other, right))
    )
    both = (a["status"] == "finished") & (b["status"] == "finished") & (a["video"] == b["video"])
    both &= (a["label"] >= 0) & (b["label"] >= 0)
    return int(np.count_nonzero(both & (a["label"] == b["label"]))), int(np.count_nonzero(both))


if __name__ == "__main__":
    sys.exit(main())
