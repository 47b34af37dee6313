"""What the server's metrics say of the time between two readings of them.

Source of the format: Prometheus, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

LATENCY = "nv_inference_first_response_histogram_ms"
_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Labels = frozenset[tuple[str, str]]
Samples = Mapping[str, Mapping[Labels, float]]
"""By the name of the metric, then by its labels."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The metrics at one time."""

    time_s: float
    samples: Samples


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of the time between two readings; NaN: nothing was served in it."""

    rate: float
    """Requests that were answered, a second."""
    p50_ms: float
    p99_ms: float
    queue_depths: Mapping[str, int]
    """By step, at the second reading."""
    gpu_shares: Mapping[str, float]
    """Of each GPU, from 0 to 1, at the second reading."""


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """The samples of an exposition; lines that are none are left out."""
    samples: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line.strip())
        if not found:
            continue
        name, labels, value = found.groups()
        try:
            samples.setdefault(name, {})[_labels(labels or "")] = float(value)
        except ValueError:
            continue
    return samples


def figures(before: Reading, now: Reading) -> Figures:
    """What happened between two readings of one server."""
    counts = _counts(before.samples, now.samples)
    return Figures(
        rate=sum(counts.values()) / max(now.time_s - before.time_s, 1e-9),
        p50_ms=percentile(counts, 0.5),
        p99_ms=percentile(counts, 0.99),
        queue_depths={key: int(value) for key, value in _by(now, "rnb_queue_depth", "step").items()},
        gpu_shares=_by(now, "nv_gpu_utilization", "gpu_uuid"),
    )


def percentile(counts: Mapping[float, float], share: float) -> float:
    """Of a histogram, straight within a bucket; its lower end for one without an upper. NaN: it is empty.

    Args:
        counts: of each bucket, by its upper bound.
    """
    wanted, lower = share * sum(counts.values()), 0.0
    if not wanted:
        return math.nan
    for bound, count in sorted(counts.items()):
        if count >= wanted:
            return lower if math.isinf(bound) else lower + (bound - lower) * wanted / count
        wanted, lower = wanted - count, bound
    return lower


def _labels(text: str) -> Labels:
    return frozenset(
        (name, re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value))
        for name, value in _LABEL.findall(text)
    )


def _counts(before: Samples, now: Samples) -> dict[float, float]:
    """Requests in each bucket of the latency's histogram, by its upper bound, since the reading before."""
    name = f"{LATENCY}_bucket"
    totals = sorted(
        (float(dict(labels).get("le", "inf")), value - before.get(name, {}).get(labels, 0.0))
        for labels, value in now.get(name, {}).items()
    )
    first = totals[:1]
    return dict(first) | {bound: total - below for (_, below), (bound, total) in itertools.pairwise(totals)}


def _by(reading: Reading, name: str, label: str) -> dict[str, float]:
    return {dict(labels).get(label, ""): value for labels, value in reading.samples.get(name, {}).items()}
