"""What predictions and measurements of the same placements say of each other: errors, order, regret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rnb.record.run import Run

WARM_UP = 0.05
"""Of the requests after the burst, left out of the latency."""
BELOW = 0.8
"""Of the measured throughput: up to there the p99 is to be foreseen."""
NUM_VERIFIED = 3
"""So many of the best predicted are played by a search, which takes the best of those."""


class Figures(NamedTuple):
    """Of a run, a real or a simulated one."""

    per_s: float
    """Requests of the burst over the time that it took."""
    p50_ms: float
    p99_ms: float
    """Of what followed it at a rate."""


class Row(NamedTuple):
    """Of a placement."""

    name: str
    predicted: Figures
    runs: Sequence[Figures]
    """Equal ones; at least one."""
    rate: float
    """Requests/s after the burst."""

    @property
    def measured(self) -> Figures:
        """The medians over its runs."""
        return Figures(*np.median(np.array(self.runs), axis=0).tolist())

    @property
    def utilization(self) -> float:
        return self.rate / self.measured.per_s

    def error(self, figure: str) -> float:
        return float(getattr(self.predicted, figure) / getattr(self.measured, figure)) - 1

    def noise(self, figure: str) -> float | None:
        """The largest over the smallest of equal runs, less 1; None of a single one."""
        values = [getattr(one, figure) for one in self.runs]
        return max(values) / min(values) - 1 if len(values) > 1 else None


def figures_of(run: Run, num_burst: int) -> Figures:
    """Of a run whose first requests are a burst."""
    ends_ns = run.due_ns + run.latency_ms * 1e6
    is_burst = np.arange(run.num_requests) < num_burst
    seconds = float(ends_ns[is_burst & run.finished].max() - run.due_ns[0]) / 1e9
    num_paced = run.num_requests - num_burst
    is_late = np.arange(run.num_requests) >= num_burst + int(WARM_UP * num_paced)
    latency_ms = run.latency_ms[is_late & run.finished]
    p50_ms, p99_ms = np.percentile(latency_ms, [50, 99]).tolist()
    return Figures(float((is_burst & run.finished).sum()) / seconds, p50_ms, p99_ms)


def describe(rows: Sequence[Row]) -> tuple[list[str], dict[str, Any]]:
    """A table and the figures over all of it, as lines of Markdown and as JSON."""
    columns = ("placement", "requests/s predicted", "measured", "error", "rate")
    lines = [f"| {' | '.join((*columns, 'p99 ms predicted', 'measured', 'error'))} |", f"|{' --- |' * 8}"]
    lines += [_line(row) for row in sorted(rows, key=lambda one: -one.measured.per_s)]
    figures = summarize(rows)
    lines += ["", *(f"{name}: {_shown(value)}" for name, value in figures.items() if name != "rows")]
    return lines, figures


def _line(row: Row) -> str:
    predicted, measured = row.predicted, row.measured
    cells = (
        row.name,
        f"{predicted.per_s:.1f} | {measured.per_s:.1f} | {row.error('per_s'):+.1%}",
        f"{row.rate:.1f} ({row.utilization:.0%})",
        f"{predicted.p99_ms:.1f} | {measured.p99_ms:.1f} | {row.error('p99_ms'):+.1%}",
    )
    return f"| {' | '.join(cells)} |"


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """What is None could not be told."""
    throughput = [abs(row.error("per_s")) for row in rows]
    below = [row for row in rows if row.utilization <= BELOW]
    p50, p99 = ([abs(row.error(name)) for row in below] for name in ("p50_ms", "p99_ms"))
    return {
        "placements": len(rows),
        "throughput, median of |error|": _median(throughput),
        "throughput, worst": max(throughput, default=None),
        "placements below 80 % utilization": len(below),
        "p50 there, median of |error|": _median(p50),
        "p99 there, median of |error|": _median(p99),
        "p99 there, worst": max(p99, default=None),
        "Kendall's tau of the throughputs": _tau(rows),
        "regret of the best predicted": regret(rows),
        "two equal runs apart, throughput": _median(_noise(rows, "per_s")),
        "two equal runs apart, p99": _median(_noise(rows, "p99_ms")),
        "rows": [
            {"name": row.name, "predicted": row.predicted, "runs": list(row.runs), "rate": row.rate}
            for row in rows
        ],
    }


def regret(rows: Sequence[Row]) -> float | None:
    """By how much the best measured of the best predicted falls short of the best of all."""
    if not rows:
        return None
    verified = sorted(rows, key=lambda row: -row.predicted.per_s)[:NUM_VERIFIED]
    return 1 - max(row.measured.per_s for row in verified) / max(row.measured.per_s for row in rows)


def _tau(rows: Sequence[Row]) -> float | None:
    if len(rows) < 2:
        return None
    from scipy.stats import kendalltau  # takes long to import, and many tests import this file

    pairs = [(row.predicted.per_s, row.measured.per_s) for row in rows]
    return float(kendalltau(*zip(*pairs, strict=True)).statistic)


def _noise(rows: Sequence[Row], figure: str) -> list[float]:
    return [noise for row in rows if (noise := row.noise(figure)) is not None]


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _shown(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
