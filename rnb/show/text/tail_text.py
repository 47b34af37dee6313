"""Who made the tail, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.tail import Tail
from rnb.contract.events import END_TO_END
from rnb.show.text.summary_text import LEAST_SHARE, hidden_stages
from rnb.show.text.table import align


def tail_table(tail: Tail, step_names: Sequence[str] = (), *, has_all_stages: bool = False) -> str:
    """The slowest requests against the median request, stage by stage."""
    header = ["", "median request ms", "slowest 1 % ms", "difference ms", "share"]
    shown = [stage for stage in tail.stages if has_all_stages or abs(stage.share) >= LEAST_SHARE]
    rows = [
        _row(stage.stage.title(step_names), stage.median_ms, stage.slowest_ms, stage.share) for stage in shown
    ]
    total = _row(END_TO_END.title(), tail.median_ms, tail.slowest_ms, 1.0)
    title = (
        f"Who made the tail: the slowest 1 % ({tail.num_slowest} requests, from {tail.threshold_ms:.3f} ms)"
        f" against the {tail.num_median} around the median"
    )
    hidden = hidden_stages(len(tail.stages) - len(shown), "difference")
    return "\n".join(
        [title, *align([header, *rows, total]), *hidden, when_slowest(tail), *where_slowest(tail)]
    )


def where_slowest(tail: Tail) -> list[str]:
    """Of several nodes, the one that had most more of the slowest than of all; none if there was none."""
    one = tail.node
    if one is None or one.share_of_slowest <= one.share_of_all:
        return []
    return [
        f"step {one.step} on node {one.node} had {one.share_of_slowest:.0%} of the slowest 1 %,"
        f" and {one.share_of_all:.0%} of all"
    ]


def when_slowest(tail: Tail) -> str:
    """Whether the slowest came together, and when."""
    cluster = tail.cluster
    if cluster.is_clustered:
        return f"the slowest 1 % lie in {cluster.seconds:.1f} s at {cluster.start_s:.1f} s"
    return f"the slowest 1 % are spread over the run: most of them over {cluster.seconds:.1f} s"


def _row(name: str, median_ms: float, slowest_ms: float, share: float) -> list[str]:
    figures = (median_ms, slowest_ms, slowest_ms - median_ms)
    return [name, *(f"{figure:.3f}" for figure in figures), f"{share:.1%}"]
