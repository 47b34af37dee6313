"""What a search for the highest rate found: its probes, and the range in which the limit lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProbeOutcome = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A run at one rate."""

    rate_per_s: float
    """What was asked for."""
    offered_per_s: float | None
    """What was measured; None where too few requests were due to tell."""
    percentile_ms: float | None
    """The latency at the percentile that is bounded; None where nothing finished."""
    outcome: ProbeOutcome

    @property
    def at_per_s(self) -> float:
        """The rate that it tells of."""
        return self.rate_per_s if self.offered_per_s is None else self.offered_per_s


@dataclass(frozen=True, kw_only=True)
class PeakFinding:
    """The limit is at least `low_per_s` and below `high_per_s`."""

    low_per_s: float | None
    """None where not even the lowest rate passed."""
    high_per_s: float | None
    """None where no rate failed."""
    best_per_s: float | None = None
    """Where it most likely is, where that is known."""
    percentile: float
    """99 for p99."""
    slo_ms: float
    probes: tuple[Probe, ...]
    """In the order in which they were played."""
