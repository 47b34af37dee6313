"""How much of a pipeline stood idle, and what its requests are worth."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.slack import Slack, find_slack, idle_share
from rnb.analysis.step_work import step_work
from rnb.record.run import Run
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def slack_of(run: Run) -> Slack:
    found = find_slack(run, list(step_work(run)), run.window_ns[0], int(run.due_ns.max()))
    assert found
    return found


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_of_one_server_it_is_what_the_load_leaves(load: float) -> None:
    random = np.random.default_rng(0)
    count = 20_000
    slack = slack_of(
        single_server_run(np.cumsum(random.exponential(1 / load, count)), random.exponential(1, count))
    )
    assert slack.share == pytest.approx(1 - load, rel=0.1)
    assert slack.variation == pytest.approx(2, rel=0.25)
    assert slack.evidence == pytest.approx((1 - load) * np.sqrt(count / 2), rel=0.15)
    assert slack.num_effective == pytest.approx(slack.evidence**2 / 1.5)


def test_even_arrivals_and_services_are_worth_what_they_are() -> None:
    slack = slack_of(single_server_run(np.arange(500.0), np.full(500, 0.9)))
    assert slack.num_effective == slack.num_requests == 500


def test_an_overloaded_server_is_never_idle() -> None:
    slack = slack_of(single_server_run(np.arange(500.0), np.full(500, 1.2)))
    assert (slack.evidence, slack.num_effective, slack.num_needed(12)) == (0, 0, None)


def test_services_that_come_in_runs_vary_more_than_each_alone() -> None:
    """A thousand slow ones, then a thousand fast ones, …: a queue of them forgets much later."""
    random = np.random.default_rng(0)
    arrivals = np.cumsum(random.exponential(2, 8000))
    alone = np.where(random.random(8000) < 0.5, 0.5, 1.5)
    in_runs = np.where(np.arange(8000) // 400 % 2, 0.5, 1.5)
    assert (
        slack_of(single_server_run(arrivals, in_runs)).variation
        > 10 * slack_of(single_server_run(arrivals, alone)).variation
    )


def test_the_step_that_tells_the_least_counts() -> None:
    """A loader at a load of 0.72, and two replicas of a network at 0.63."""
    slack = slack_of(simulate(num_requests=20_000, has_telemetry=False))
    assert slack.step == 0
    assert slack.share == pytest.approx(0.28, abs=0.02)


def test_the_idle_share_of_two_workers_and_of_a_batch() -> None:
    run = single_server_run(np.array([0.0, 0.0, 4.0]), np.array([2.0, 2.0, 2.0]))
    (work,) = step_work(run)
    start_ns = run.start_ns
    assert idle_share(work, start_ns, start_ns + 8_000_000_000) == pytest.approx(0.25)
    run.meta.replicas = [{**run.meta.replicas[0], "workers": 2}]
    (work,) = step_work(run)
    assert work.capacity == 2
    assert idle_share(work, start_ns, start_ns + 8_000_000_000) == pytest.approx(
        1 - (2 + 1 + 1) / 16 - 4 / 16
    )


def test_nothing_is_told_of_a_bulk_run() -> None:
    run = single_server_run(np.zeros(500), np.ones(500))
    assert find_slack(run, list(step_work(run)), run.window_ns[0], int(run.due_ns.max())) is None
