"""The three figures that a run is for, in one line."""

from __future__ import annotations

from rnb.analysis.statistics import MIN_COUNTS
from rnb.analysis.summary import Summary

_PERCENTILES = (50, 99)


def headline(summary: Summary, *, is_bulk: bool) -> str:
    """Throughput, p50 and p99; where all requests came at once, how long it took and what held it up.

    The latency of such a run says no more than how many requests there were.
    """
    throughput = f"{summary.videos_per_s:.2f} videos/s"
    if not is_bulk:
        return ", ".join([throughput, *(_percentile(summary, percent) for percent in _PERCENTILES)])
    done = f"{summary.num_finished} done in {summary.seconds:.2f} s"
    return ", ".join([throughput, done, *_busiest(summary)])


def _percentile(summary: Summary, percent: int) -> str:
    value = summary.end_to_end.percentiles_ms[f"p{percent}"]
    if value is None:
        return f"p{percent} - (takes {MIN_COUNTS[percent]} that finish)"
    return f"p{percent} {value:.3f} ms"


def _busiest(summary: Summary) -> list[str]:
    if not summary.utilizations:
        return []
    most = max(summary.utilizations, key=lambda entry: entry.busy)
    return [f"step {most.step}.{most.replica} {summary.step_names[most.step]} busy {most.busy:.0%}"]
