"""Which requests two runs have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnb.analysis.pairing import pair
from rnb.run_folder import Run, read
from tests.support.sample_runs import write_seed_run
from tests.support.simulated_runs import simulate


def run(num_requests: int = 50, **columns: Any) -> Run:
    made = simulate(num_requests=num_requests, has_telemetry=False)
    made.requests.update(columns)
    return made


def test_the_same_schedule_and_results() -> None:
    found = pair(run(), run())
    assert found.overlap.is_paired
    assert (found.overlap.num_paired, found.overlap.num_requests) == (50, 50)
    assert (found.overlap.num_agreeing, found.overlap.num_compared) == (50, 50)
    assert found.first.tolist() == found.other.tolist() == list(range(50))


def test_rows_are_matched_by_id_and_come_in_order_of_arrival() -> None:
    other = run()
    order = np.random.default_rng(0).permutation(50)
    other.requests = {name: column[order] for name, column in other.requests.items()}
    other.times = {name: column[order] for name, column in other.times.items()}
    found = pair(run(), other)
    assert found.overlap.is_paired
    assert found.overlap.num_agreeing == 50
    assert order[found.other].tolist() == found.first.tolist() == list(range(50))
    assert np.diff(other.requests["arrival_ns"][found.other]).min() >= 0


def other_video(made: Run) -> None:
    made.requests["video"][[3, 4]] = "another.mp4"


def other_time(made: Run) -> None:
    made.requests["arrival_ns"][7] += 1


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (other_video, "2 of 50 requests are for another video"),
        (other_time, "the requests arrive at other times"),
    ],
)
def test_another_schedule_says_what_is_different(change: Callable[[Run], None], difference: str) -> None:
    other = run()
    change(other)
    found = pair(run(), other).overlap
    assert not found.is_paired
    assert found.schedule_difference == difference


def test_runs_of_different_length() -> None:
    found = pair(run(50), run(40)).overlap
    assert found.schedule_difference == "only 40 of 50 measured requests are in both"
    assert found.num_compared == 40


def test_warm_up_requests_do_not_count() -> None:
    both = [run(is_warmup=np.arange(50) < 10) for _ in range(2)]
    both[1].requests["label"][:10] += 1
    found = pair(both[0], both[1])
    assert found.overlap.is_paired
    assert (found.overlap.num_agreeing, found.overlap.num_compared) == (40, 40)
    assert found.first[0] == 10
    assert pair(run(), both[1]).overlap.schedule_difference.startswith("only 40 of 50")


def test_results_are_compared_where_both_have_one() -> None:
    other = run()
    other.requests["label"][[3, 4]] += 1
    other.requests["label"][5] = -1
    other.requests["status"][6] = "failed"
    other.requests["video"][7] = "another.mp4"
    found = pair(run(), other)
    assert (found.overlap.num_agreeing, found.overlap.num_compared) == (45, 47)
    assert found.overlap.num_finished_in_one == 1
    assert 6 not in found.first


def test_with_another_seed_other_clips_are_sampled() -> None:
    other = run()
    other.args = {**other.args, "seed": 7}
    assert pair(run(), other).overlap.num_compared == 0


def test_a_folder_of_the_seed_has_no_schedule(tmp_path: Any) -> None:
    found = pair(run(), read(write_seed_run(tmp_path / "seed")))
    assert found.overlap.schedule_difference == "a folder of snuspl/rnb has no schedule"
    assert found.overlap.num_requests == 50
