"""Curves over GPUs of a system of which everything is known: up to which one it bends, and by what."""

from __future__ import annotations

import pytest

from rnb.analysis.theory import MD1
from rnb.planner.curve import Curve, draw
from rnb.planner.harness import HarnessCosts
from rnb.planner.what_if import parse_what_if
from tests.support.known_profiles import known_system
from tests.support.known_times import spec_of, step

SPEC = spec_of({**step("ChangeOne"), "gpus": [0]}, {**step("ChangeOne"), "gpus": [0, 0]})
CALLS = ({1: [4.0]}, {1: [5.0]})
"""250/s and 400/s a GPU."""


def curve(harness: HarnessCosts, *texts: str) -> Curve:
    return draw(known_system(SPEC, *CALLS, harness=harness), parse_what_if(texts))


def test_it_grows_with_the_gpus_up_to_what_the_client_sends() -> None:
    found = curve(HarnessCosts(send_ns=500_000), "gpus=1..32")
    per_s = [point.predicted.per_s for point in found.points]
    assert per_s == pytest.approx([250, 500, 1000, 2000, 2000, 2000], rel=0.01)
    assert [point.held_up_by.name for point in found.points] == ["step 0 ChangeOne"] * 3 + [
        found.points[3].held_up_by.name
    ] + ["the client"] * 2
    last = found.points[-1]
    assert last.held_up_by.per_s == 2000
    assert last.then_by is not None
    assert last.then_by.per_s == 8000
    assert last.predicted.rate_per_s == pytest.approx(1600, rel=0.01)


def test_two_clients_carry_twice_as_much() -> None:
    found = curve(HarnessCosts(send_ns=500_000), "gpus=32", "clients=2")
    now, then = found.points
    assert now.predicted.per_s == pytest.approx(250, rel=0.01)
    assert then.predicted.per_s == pytest.approx(4000, rel=0.01)
    assert then.held_up_by.name == "the 2 clients"
    assert found.needed == []


@pytest.mark.parametrize("costs", [HarnessCosts(put_ns=500_000), HarnessCosts(take_ns=500_000)])
def test_a_queue_carries_one_message_after_the_other(costs: HarnessCosts) -> None:
    found = curve(costs, "gpus=4,32")
    assert [point.predicted.per_s for point in found.points] == pytest.approx([1000, 2000], rel=0.02)
    assert found.points[1].held_up_by.name == "the filename queue"
    assert found.points[1].then_by is not None
    assert found.points[1].then_by.name == "the frame queue before step 1"


def test_the_gpus_that_rates_need_at_eight_tenths_of_what_they_serve() -> None:
    found = curve(HarnessCosts(send_ns=500_000), "gpus=1..32", "rates=150,300,700,5000")
    # 0.8 of 250/s a GPU: 0.75, 1.5 and 3.5 GPUs, and more than the client sends
    assert [one.num_gpus for one in found.needed] == [1, 2, 4, None]
    assert [one.rate_per_s for one in curve(HarnessCosts(), "gpus=1..8").needed] == [1000]


def test_a_p99_at_eight_tenths_of_what_it_serves_is_that_of_the_queue() -> None:
    system = known_system(spec_of({**step("ChangeOne"), "gpus": [0]}), {1: [4.0]})
    point = draw(system, parse_what_if(["clients=1"])).points[-1]
    wait_ms = point.predicted.p99_ms - 4.0
    assert 0.95 < MD1(rate=0.8 / 4, service=4.0).wait_cdf(wait_ms) < 0.999


def test_calls_that_differ_much_are_played_until_their_rate_lasts() -> None:
    """Nine calls of ten take 1 ms, one takes 201: 21 on average."""
    spec = spec_of({**step("ChangeOne"), "gpus": [0]})
    system = known_system(spec, {1: [1.0] * 9 + [201.0]})
    point = draw(system, parse_what_if(["gpus=256"])).points[-1]
    assert point.predicted.per_s == pytest.approx(256 / 0.021, rel=0.1)
    assert point.num_requests > 6 * 256
