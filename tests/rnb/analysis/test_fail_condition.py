"""Conditions for continuous integration: what they accept, and when they fire."""

from __future__ import annotations

import math
import re

import pytest

from rnb.analysis.estimate import Estimate
from rnb.analysis.fail_condition import Judgement, parse_fail_condition
from rnb.analysis.ratio import CONFIDENCE, Ratio
from rnb.analysis.student_t import student_t


def ratio(value: float, margin: float) -> Ratio:
    return Ratio(
        log=Estimate(value=math.log(value), error=margin / student_t(9, confidence=CONFIDENCE), degrees=9)
    )


@pytest.mark.parametrize(
    ("text", "value", "margin", "outcome"),
    [
        ("p99:+5%", 1.10, 0.04, "FAILS"),
        ("p99:+5%", 1.10, 0.06, "undecided"),
        ("p99:+5%", 1.00, 0.06, "undecided"),
        ("p99:+5%", 1.00, 0.04, "holds"),
        ("p99:+5%", 0.5, 0.3, "holds"),
        ("mean:+0%", 1.001, 0.0005, "FAILS"),
        ("p99.9:+2.5%", 1.026, 0.0, "FAILS"),
        ("throughput:-5%", 0.90, 0.04, "FAILS"),
        ("throughput:-5%", 0.90, 0.06, "undecided"),
        ("throughput:-5%", 1.5, 0.3, "holds"),
        ("goodput:-0%", 0.999, 0.0, "FAILS"),
    ],
)
def test_all_of_the_interval_must_be_beyond_the_limit(
    text: str, value: float, margin: float, outcome: str
) -> None:
    found = Judgement(condition=parse_fail_condition(text), group=1, change=ratio(value, margin))
    assert found.fires is (outcome == "FAILS")
    told, _, said = str(found).rpartition(": ")
    assert told.startswith(f"--fail-if {text}: B ×{value:.3f} (")
    assert said.startswith(outcome)


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
