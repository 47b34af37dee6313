"""Student's t, for the intervals of means and of regression lines."""

from __future__ import annotations

import math

CONFIDENCE = 0.95


def student_t(degrees: float, confidence: float = CONFIDENCE) -> float:
    """What |t| stays below with this confidence; degrees of freedom are rounded down, to at least 1."""
    from scipy.special import stdtrit  # slow to import, and not needed before a run

    return float(stdtrit(max(1, math.floor(degrees)), (1 + confidence) / 2))
