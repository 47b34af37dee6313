"""The table of all peers, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.peers.figures import PlayFigures, median_of
from benchmarks.peers.running import Outcome

Figures = Mapping[str, Sequence[PlayFigures]]
"""Of the plays of each peer, by its name."""


def table(outcomes: Sequence[Outcome], figures: Figures, rates: Sequence[float]) -> str:
    """A line a peer; what could not run, or not to its end, says why."""
    head = ["peer", "decoder", "videos/s", "of RnB's", "CPU ms", "same class", "failed"]
    head += [text for rate in rates for text in (f"at {rate:g}/s: done/s", "p50 ms", "p99 ms")]
    rows = [head, *(_row(one, figures, rates) for one in outcomes if figures.get(one.name))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += [f"{one.name}: {one.why_not}" for one in outcomes if one.why_not]
    return "\n".join(lines)


def _row(outcome: Outcome, figures: Figures, rates: Sequence[float]) -> list[str]:
    own = figures[outcome.name]
    bulk = _at(own, 0)
    videos_per_s, its = (
        median_of(bulk, "videos_per_s"),
        median_of(_at(figures.get("rnb", ()), 0), "videos_per_s"),
    )
    share = videos_per_s / its if videos_per_s is not None and its else None
    cells = [outcome.name, outcome.decoder, _text(videos_per_s), _text(share, "{:.2f}")]
    cells += [_text(median_of(bulk, "cpu_ms")), _text(median_of(own, "agreement"), "{:.1%}")]
    cells.append(str(sum(play.num_failed for play in own)))
    for rate in rates:
        paced = _at(own, rate)
        cells += [_text(median_of(paced, name)) for name in ("videos_per_s", "p50_ms", "p99_ms")]
    return cells


def _at(plays: Sequence[PlayFigures], rate: float) -> list[PlayFigures]:
    return [play for play in plays if play.rate == rate]


def _text(value: float | None, form: str = "{:.1f}") -> str:
    return "-" if value is None else form.format(value)
