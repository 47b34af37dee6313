"""The search for the highest rate that a pipeline sustains: double until it fails, then bisect.

A probe is a function from a rate to a ProbeResult, so that the search knows nothing of runs. What passes at
one rate is taken to pass at every lower one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RESOLUTION = 0.03
"""The search ends when the lowest rate that fails is at most this share above the highest that passes."""
MAX_DOUBLINGS = 20
MAX_HALVINGS = 4
"""A pipeline that misses the bound at a sixteenth of the first rate does not owe it to the rate."""


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a rate gave."""

    rate_per_s: float
    passes: bool
    outcome: str
    """'passes', or in a few words why not."""
    percentile_ms: float | None = None
    """The latency at the percentile that is bounded; None where too few requests finished."""
    goodput_per_s: float | None = None
    """Requests within the bound per second."""
    num_requests: int = 0
    seconds: float = 0.0
    folder: Path | None = None
    is_client_late: bool = False
    """Whether the load was not the asked one, so that the rate says nothing of the pipeline."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Where the limit lies."""

    passing: ProbeResult | None
    """The highest rate that passes; None where not even the lowest does."""
    failing: ProbeResult | None
    """The lowest rate that fails; None where none did."""


def search_peak(
    probe: Callable[[float], ProbeResult], *, start_per_s: float, resolution: float = RESOLUTION
) -> Peak:
    """Find the limit. Calls `probe` once for each rate that it tries."""
    passing, failing = _bracket(probe, start_per_s)
    while passing and failing and failing.rate_per_s > passing.rate_per_s * (1 + resolution):
        middle = probe(math.sqrt(passing.rate_per_s * failing.rate_per_s))
        passing, failing = (middle, failing) if middle.passes else (passing, middle)
    return Peak(passing=passing, failing=failing)


def _bracket(
    probe: Callable[[float], ProbeResult], start_per_s: float
) -> tuple[ProbeResult | None, ProbeResult | None]:
    """A rate that passes and one that fails, one of them twice the other; None for what was not found."""
    last = probe(start_per_s)
    factor, most = (2.0, MAX_DOUBLINGS) if last.passes else (0.5, MAX_HALVINGS)
    for _ in range(most):
        following = probe(last.rate_per_s * factor)
        if following.passes != last.passes:
            return (last, following) if last.passes else (following, last)
        last = following
    return (last, None) if last.passes else (None, last)
