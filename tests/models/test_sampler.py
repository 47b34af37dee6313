import itertools
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
import torch

from models.r2p1d.sampler import R2P1DSampler
from nvvl import Sampler


def fixed(clip_length: int, num_clips: int) -> R2P1DSampler:
    return R2P1DSampler(clip_length, num_clips, num_clips_population=None, num_clips_weights=None)


def test_is_a_sampler_of_nvvl() -> None:
    assert isinstance(R2P1DSampler(), Sampler)


@pytest.mark.parametrize("clip_length", [1, 7, 8, 16])
@pytest.mark.parametrize("num_clips", [1, 2, 3, 10, 15])
@pytest.mark.parametrize("length", [16, 25, 80, 119, 120, 300, 301])
def test_clips_are_inside_disjoint_and_evenly_spread(clip_length: int, num_clips: int, length: int) -> None:
    sampler = fixed(clip_length, num_clips)
    for _ in range(20):
        starts = sampler.sample(length)
        gaps = {later - earlier for earlier, later in itertools.pairwise(starts)}
        assert len(starts) == min(num_clips, length // clip_length)
        assert starts[0] >= 0
        assert starts[-1] + clip_length <= length
        assert len(gaps) <= 1
        assert all(gap == length // len(starts) >= clip_length for gap in gaps)


def test_every_offset_within_the_leniency_occurs_and_no_other() -> None:
    sampler = fixed(7, 3)
    seen = {tuple(sampler.sample(25)) for _ in range(200)}
    assert seen == {(0, 8, 16), (1, 9, 17), (2, 10, 18)}


def test_one_clip_may_begin_anywhere_that_it_fits() -> None:
    sampler = fixed(8, 1)
    assert {sampler.sample(12)[0] for _ in range(300)} == {0, 1, 2, 3, 4}


def test_a_video_of_one_clip_gives_one_clip() -> None:
    assert fixed(8, 15).sample(8) == [0]


@pytest.mark.parametrize("length", [-1, 0, 7])
def test_a_video_shorter_than_a_clip_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"video of {length} frames .* 8 consecutive frames"):
        R2P1DSampler().sample(length)


def test_default_population_is_one_clip_ten_times_for_each_time_of_fifteen() -> None:
    sampler = R2P1DSampler()
    counts = Counter(len(sampler.sample(300)) for _ in range(11_000))
    assert set(counts) == {1, 15}
    assert counts[15] == pytest.approx(1000, abs=100)  # σ is 30


@pytest.mark.parametrize(("population", "weights"), [(None, (10, 1)), ((1, 15), None), (None, None)])
def test_without_population_or_weights_num_clips_holds(
    population: tuple[int, ...] | None, weights: tuple[float, ...] | None
) -> None:
    sampler = R2P1DSampler(num_clips=4, num_clips_population=population, num_clips_weights=weights)
    assert {len(sampler.sample(300)) for _ in range(50)} == {4}


def test_a_weight_of_zero_never_occurs() -> None:
    sampler = R2P1DSampler(num_clips_population=[1, 2, 3], num_clips_weights=[0, 1, 0])
    assert {len(sampler.sample(300)) for _ in range(50)} == {2}


def test_a_request_samples_the_same_clips_whatever_came_before() -> None:
    one, other = R2P1DSampler(), R2P1DSampler()
    for _ in range(5):
        other.sample(200)
    for request_id in (0, 1, 17):
        one.seed(3, request_id)
        other.seed(3, request_id)
        assert [one.sample(300) for _ in range(3)] == [other.sample(300) for _ in range(3)]


def test_requests_and_seeds_differ() -> None:
    sampler = R2P1DSampler()
    samples = set()
    for seed in (0, 1):
        for request_id in range(50):
            sampler.seed(seed, request_id)
            samples.add(tuple(sampler.sample(10**9)))
    assert len(samples) == 100


def test_unseeded_samplers_draw_alike() -> None:
    one, other = R2P1DSampler(), R2P1DSampler()
    assert [one.sample(300) for _ in range(10)] == [other.sample(300) for _ in range(10)]


@pytest.mark.processes
def test_another_process_samples_the_same_clips() -> None:
    code = (
        "from models.r2p1d.sampler import R2P1DSampler\n"
        "sampler = R2P1DSampler(num_clips_population=[3], num_clips_weights=[1])\n"
        "sampler.seed(42, 7)\n"
        "print(sampler.sample(300))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    sampler = R2P1DSampler(num_clips_population=[3], num_clips_weights=[1])
    sampler.seed(42, 7)
    assert printed.strip() == str(sampler.sample(300)) == "[63, 163, 263]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_length": 0}, "clip_length is 0"),
        ({"num_clips": 0}, "num_clips is 0"),
        ({"num_clips_population": [1, 2, 3]}, "same length"),
        ({"num_clips_population": [], "num_clips_weights": []}, "at least 1"),
        ({"num_clips_population": [0, 2]}, "population is 0"),
        ({"num_clips_weights": [-1, 2]}, "negative"),
        ({"num_clips_weights": [0, 0]}, "positive"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        R2P1DSampler(**options)


def test_even_clips_reach_from_the_start_to_the_end_as_torchvisions_do() -> None:
    sampler = R2P1DSampler(16, 5, None, None, is_even=True)
    positions = torch.linspace(0, 150 - 16, 5).floor().int().tolist()
    assert sampler.sample(150) == sampler.sample(150) == positions == [0, 33, 67, 100, 134]
    assert sampler.sample(18) == [0, 0, 1, 1, 2]
    assert R2P1DSampler(16, 1, None, None, is_even=True).sample(150) == [0]
    with pytest.raises(ValueError, match="video of 15 frames is too short"):
        sampler.sample(15)
