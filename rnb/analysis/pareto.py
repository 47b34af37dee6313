"""Which runs no other one beats: in throughput and in latency."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The indexes of the points (throughput, latency) of which none has more throughput and no more latency,
    nor less latency and no less throughput; from the least throughput to the most."""
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: (-points[index][0], points[index][1])):
        if not front or points[index][1] < points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front[::-1]
