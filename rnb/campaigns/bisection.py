"""The search for the highest rate that a pipeline sustains: double until it fails, then bisect.

A probe is a function from a rate to a ProbeResult, so that the search knows nothing of runs. What passes at
one rate is taken to pass at every lower one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Probe = Callable[[float], "ProbeResult"]
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


def search_peak(probe: Probe, *, start_per_s: float, resolution: float = RESOLUTION) -> Peak:
    """Find the limit.

    The lowest rate that fails is tried again before it is believed: something else on the machine may have
    made it fail. If it passes then, the search goes on above it.
    """
    first = probe(start_per_s)
    passing, failed = _double(probe, first) if first.passes else _halve(probe, first)
    while passing and failed:
        low, high = passing.rate_per_s, failed[-1].rate_per_s
        is_close = high <= low * (1 + resolution)
        tried = probe(high if is_close else math.sqrt(low * high))
        if not tried.passes and is_close:
            break
        if not tried.passes:
            failed.append(tried)
        elif not is_close:
            passing = tried
        elif len(failed) > 1:
            passing = tried
            failed.pop()
        else:
            passing, failed = _double(probe, tried)
    return Peak(passing=passing, failing=failed[-1] if failed else None)


def _double(probe: Probe, passing: ProbeResult) -> tuple[ProbeResult, list[ProbeResult]]:
    """The highest rate that passes, and the first that fails; none where none does."""
    for _ in range(MAX_DOUBLINGS):
        following = probe(2 * passing.rate_per_s)
        if not following.passes:
            return passing, [following]
        passing = following
    return passing, []


def _halve(probe: Probe, failing: ProbeResult) -> tuple[ProbeResult | None, list[ProbeResult]]:
    """The first rate that passes, None where none does, and those that fail, the lowest last."""
    failed = [failing]
    for _ in range(MAX_HALVINGS):
        following = probe(failed[-1].rate_per_s / 2)
        if following.passes:
            return following, failed
        failed.append(following)
    return None, failed
