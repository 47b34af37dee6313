"""How a fault is written, and what is said of one that is written wrong."""

from __future__ import annotations

import re

import pytest

from rnb.contract.fault import Fault, FaultKind, Moment

AT_10_S, AT_HALF = Moment(value=10, is_percent=False), Moment(value=50, is_percent=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kill:step1@10s", (FaultKind.KILL, 1, None, 0.0, AT_10_S, None)),
        ("kill:step0.3@50%", (FaultKind.KILL, 0, 3, 0.0, AT_HALF, None)),
        ("stall:step1*2.5s@10s", (FaultKind.STALL, 1, None, 2.5, AT_10_S, None)),
        ("slow:step0.1*1.3@10s-50%", (FaultKind.SLOW, 0, 1, 1.3, AT_10_S, AT_HALF)),
        ("cpu:3@50%", (FaultKind.CPU, None, None, 3.0, AT_HALF, None)),
        ("gpu-memory:0.5GB@10s", (FaultKind.GPU_MEMORY, None, None, 0.5, AT_10_S, None)),
    ],
)
def test_what_it_says(text: str, expected: object) -> None:
    fault = Fault.parse(text)
    assert fault.text == text
    found = (fault.kind, fault.step, fault.replica, fault.amount, fault.start, fault.end)
    assert found == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a fault is KIND:WHAT@START or KIND:WHAT@START-END, as stall:step1*2s@10s"),
        ("kill:step1", "a fault is KIND:WHAT@START"),
        ("kill:step1@10", "a fault is KIND:WHAT@START"),
        ("kill:step1@-1s", "a fault is KIND:WHAT@START"),
        ("burn:step1@10s", "'burn' is none of kill, stall, slow, cpu, gpu-memory"),
        ("kill:stepone@10s", "'stepone' must look like 'step1': kill:step1@10s"),
        ("stall:step1@10s", "'step1' must look like 'step1*2s': stall:step1*2s@10s"),
        ("stall:step1*0s@10s", "0: it must be more"),
        ("slow:step1*0.9@10s", "0.9: a slow step takes more than 1 times as long"),
        ("cpu:0@10s", "'0' must look like '3': cpu:3@10s"),
        ("gpu-memory:8@10s", "'8' must look like '8GB': gpu-memory:8GB@10s"),
        ("kill:step1@10s-20s", "kill has no end: leave out '-20s'"),
        ("cpu:3@101%", "101%: more than all requests"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Fault.parse(text)
