"""Prometheus' text format. Source: Prometheus, "Exposition formats", text format 0.0.4.

Written here since the names are Triton's, and prometheus-client gives every counter a name that ends in
`_total`, which Triton's do not.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of a histogram's buckets."""


class Histogram:
    """How often which durations occurred."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self, name: str, labels: Labels) -> list[str]:
        """The lines of one set of labels."""
        totals = list(accumulate(self._counts))
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        return [
            *(
                sample(f"{name}_bucket", {**labels, "le": bound}, total)
                for bound, total in zip(bounds, totals, strict=True)
            ),
            sample(f"{name}_sum", labels, self._sum),
            sample(f"{name}_count", labels, totals[-1]),
        ]


def family(name: str, kind: str, about: str, samples: Iterable[str]) -> list[str]:
    """The lines of a metric; none without samples."""
    lines = list(samples)
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *lines] if lines else []


def sample(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)
