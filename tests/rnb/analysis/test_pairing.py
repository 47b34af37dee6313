"""Which requests two runs have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnb.analysis.pairing import pair
from rnb.contract.result import ToleranceResult
from rnb.record.run import Run
from rnb.record.run_folder import read
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
    other.meta.args = {**other.args, "seed": 7}
    assert pair(run(), other).overlap.num_compared == 0


class Near:
    """Numbers agree when they are about the same."""

    @staticmethod
    def agree(first: float, other: float) -> bool:
        return abs(first - other) < 0.5


class Boxes(ToleranceResult):
    absolute = 0.5


def with_results(kind: str, results: dict[int, Any]) -> Run:
    made = run()
    made.meta.result_kind, made.results = kind, results
    made.requests["label"][:] = -1
    return made


def test_results_of_another_kind_agree_by_its_own_rule() -> None:
    kind = f"{Near.__module__}.{Near.__qualname__}"
    first, other = {0: 1.0, 1: 2.0, 2: 3.0, 9: 1.0}, {0: 1.1, 1: 4.0, 2: 3.0, 8: 1.0}
    overlap = pair(with_results(kind, first), with_results(kind, other)).overlap
    assert (overlap.num_agreeing, overlap.num_compared) == (2, 3)
    equal = "rnb.contract.result.JsonResult"
    overlap = pair(with_results(equal, first), with_results(equal, other)).overlap
    assert (overlap.num_agreeing, overlap.num_compared) == (1, 3)


def test_results_agree_within_the_tolerance_that_their_kind_states() -> None:
    kind = f"{Boxes.__module__}.{Boxes.__qualname__}"
    first, other = {0: {"box": [1, 2]}, 1: {"box": [1, 2]}}, {0: {"box": [1.4, 2]}, 1: {"box": [1.6, 2]}}
    overlap = pair(with_results(kind, first), with_results(kind, other)).overlap
    assert (overlap.num_agreeing, overlap.num_compared) == (1, 2)


@pytest.mark.parametrize(
    "kinds",
    [
        ("rnb.contract.result.JsonResult", "rnb.contract.result.ClassResult"),
        ("nowhere.Kind", "nowhere.Kind"),
        ("rnb.contract.result.Missing", "rnb.contract.result.Missing"),
        ("Kind", "Kind"),
    ],
)
def test_results_whose_kind_differs_or_is_not_to_be_had_are_not_compared(kinds: tuple[str, str]) -> None:
    first, other = (with_results(kind, {0: 1}) for kind in kinds)
    assert pair(first, other).overlap.num_compared == 0


def test_classes_are_compared_where_the_kind_says_so() -> None:
    first, other = run(), run()
    first.meta.result_kind = "rnb.contract.result.ClassResult"
    assert pair(first, other).overlap.num_agreeing == 50


def test_a_folder_of_the_seed_has_no_schedule(tmp_path: Any) -> None:
    found = pair(run(), read(write_seed_run(tmp_path / "seed")))
    assert found.overlap.schedule_difference == "a folder of snuspl/rnb has no schedule"
    assert found.overlap.num_requests == 50
