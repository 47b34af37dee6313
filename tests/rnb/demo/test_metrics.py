"""What the page makes of the server's metrics."""

from __future__ import annotations

import math

import pytest

from rnb.demo.metrics import LATENCY, Figures, Reading, figures, parse, percentile


def exposition(counts: tuple[int, int, int]) -> str:
    """Answers within 5 ms, within 10, and later, since the start."""
    fast, medium, slow = counts
    return f"""# HELP {LATENCY} of requests
# TYPE {LATENCY} histogram
{LATENCY}_bucket{{model="a",version="1",le="5"}} {fast}
{LATENCY}_bucket{{model="a",version="1",le="10"}} {fast + medium}
{LATENCY}_bucket{{model="a",version="1",le="+Inf"}} {fast + medium + slow}
{LATENCY}_sum{{model="a",version="1"}} 12.5
rnb_queue_depth{{step="Loader-0"}} 4
rnb_queue_depth{{step="Net-1"}} 0
nv_gpu_utilization{{gpu_uuid="GPU-7"}} 0.5
"""


def reading(time_s: float, counts: tuple[int, int, int]) -> Reading:
    return Reading(time_s=time_s, samples=parse(exposition(counts)))


def test_samples_are_read() -> None:
    text = (
        'a{x="1",y="q\\"\\\\\\n}"} 2.5 1700000000\nb NaN\nc +Inf\n# a comment\nno sample\nd{} 3\ne word\n\n'
    )
    told = parse(text)
    assert set(told) == {"a", "b", "c", "d"}
    assert told["a"] == {frozenset({("x", "1"), ("y", 'q"\\\n}')}): 2.5}
    assert math.isnan(told["b"][frozenset()])
    assert told["c"][frozenset()] == math.inf


def test_figures_are_of_what_came_in_between() -> None:
    now = figures(reading(10.0, (100, 50, 1)), reading(14.0, (160, 80, 11)))
    expected = Figures(
        rate=25.0,
        p50_ms=5 * 50 / 60,
        p99_ms=10.0,
        queue_depths={"Loader-0": 4, "Net-1": 0},
        gpu_shares={"GPU-7": 0.5},
    )
    assert now == expected


def test_nothing_in_between_has_no_latency() -> None:
    now = figures(reading(1.0, (5, 5, 5)), reading(2.0, (5, 5, 5)))
    assert now.rate == 0
    assert math.isnan(now.p50_ms)
    assert math.isnan(now.p99_ms)


def test_a_server_without_such_metrics_has_none() -> None:
    empty = Reading(time_s=1.0, samples={})
    now = figures(empty, empty)
    assert (now.rate, now.queue_depths, now.gpu_shares) == (0, {}, {})


@pytest.mark.parametrize(("share", "expected"), [(0.1, 2.0), (0.5, 10.0), (0.75, 15.0), (1.0, 20.0)])
def test_a_percentile_is_straight_within_a_bucket(share: float, expected: float) -> None:
    assert percentile({10.0: 50, 20.0: 50, math.inf: 0}, share) == pytest.approx(expected)
