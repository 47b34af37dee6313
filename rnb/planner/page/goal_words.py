"""What was asked for, in words."""

from __future__ import annotations

from rnb.planner.goal import Goal


def asked(goal: Goal) -> str:
    """As the flags say it."""
    rate = "" if goal.rate is None else f" --rate {goal.rate:g}"
    slo = "" if goal.slo is None else f" --slo {goal.slo:g}"
    return f"--goal {goal.name}{rate}{slo}"


def under(goal: Goal) -> str:
    """The load of the figures."""
    if goal.name == "throughput":
        return "all requests at once"
    if goal.name == "rate":
        return f"at the highest rate that keeps a p99 of {goal.slo:g} ms"
    return f"at {goal.rate:g} requests/s"
