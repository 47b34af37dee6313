"""Conditions for continuous integration: what they accept, and when they fire."""

from __future__ import annotations

import re

import pytest

from rnb.analysis.fail_condition import parse_fail_condition


@pytest.mark.parametrize(
    ("text", "change", "fires"),
    [
        ("p99:+5%", 0.051, True),
        ("p99:+5%", 0.05, False),
        ("p99:+5%", -0.5, False),
        ("mean:+0%", 0.001, True),
        ("mean:+0%", 0.0, False),
        ("p99.9:+2.5%", 0.026, True),
        ("throughput:-5%", -0.051, True),
        ("throughput:-5%", -0.05, False),
        ("throughput:-5%", 0.5, False),
        ("goodput:-0%", -0.001, True),
    ],
)
def test_when_it_fires(text: str, change: float, fires: bool) -> None:
    condition = parse_fail_condition(text)
    assert condition.fires(change) is fires
    assert str(condition) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("p99", "must be FIGURE:+PERCENT% or FIGURE:-PERCENT%, as p99:+5%"),
        ("p99:5%", "must be FIGURE:+PERCENT%"),
        ("p99:+5", "must be FIGURE:+PERCENT%"),
        ("p98:+5%", "no figure 'p98'; there are mean, p50, p90, p95, p99, p99.9, throughput, goodput"),
        ("p99:-5%", "p99 is worse when it rises: +PERCENT%"),
        ("throughput:+5%", "throughput is worse when it falls: -PERCENT%"),
    ],
)
def test_a_condition_that_would_never_do_what_it_says_is_refused(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text}: {rule}")):
        parse_fail_condition(text)
