"""Live streams: each has its frames at fixed intervals, and when in an interval follows from the seed."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.contract.termination import UsageError
from rnb.load.arrivals import ScheduleError
from rnb.load.load import Load
from rnb.load.schedule import Schedule, make_schedule
from rnb.load.streams import Streams


def schedule_of(**load: object) -> Schedule:
    return make_schedule(Load(mean_interval_ms=None, **load), ["a", "b", "c"])[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(("num", "fps", "every"), [(1, 30, 1), (7, 25, 1), (16, 12.5, 4)])
def test_every_stream_has_its_frames_at_fixed_intervals(num: int, fps: float, every: int) -> None:
    schedule = schedule_of(streams=num, fps=fps, every=every, videos=num * 40)
    assert (np.diff(schedule.arrivals_ns) >= 0).all()
    assert schedule.sequences is not None
    period_ns = every / fps * 1e9
    for stream in range(num):
        mine = schedule.arrivals_ns[schedule.sequences.ids == stream]
        assert len(mine) == 40
        assert 0 <= mine[0] < period_ns
        assert np.diff(mine) == pytest.approx(period_ns, abs=2)


def test_phases_follow_from_the_seed_and_are_spread() -> None:
    first, again, other = (Streams(num=500, fps=10).arrivals_ns(500, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    counts, _ = np.histogram(first, bins=5, range=(0, 1e8))
    assert counts.min() > 60


def test_a_request_says_which_frame_it_is_for() -> None:
    schedule = schedule_of(streams=2, every=3, videos=8)
    assert schedule.sequences is not None
    told = [schedule.sequences.parameters_of(request_id) for request_id in range(8)]
    assert [one["sequence_id"] for one in told] == [0, 1] * 4
    assert [one["stream_frame"] for one in told] == [0, 0, 3, 3, 6, 6, 9, 9]
    assert {one["stream_frame_step"] for one in told} == {3}
    assert [one["sequence_end"] for one in told] == [False] * 6 + [True] * 2
    assert schedule.payload_of_each() == ["a", "b"] * 4


def test_a_duration_in_the_place_of_a_number() -> None:
    schedule = schedule_of(streams=5, fps=20, videos=None, duration=2.0, warmup=10)
    assert schedule.num_warmup == 10
    assert len(schedule) == pytest.approx(10 + 5 * 20 * 2, abs=5)
    span_ns = schedule.arrivals_ns[-1] - schedule.arrivals_ns[9]
    assert span_ns <= 2e9


def test_streams_have_one_sender_each() -> None:
    with pytest.raises(UsageError, match="--streams 5: 2 clients send in turn"):
        schedule_of(streams=5, videos=50, clients=2)


def test_more_than_a_run_may_have() -> None:
    with pytest.raises(ScheduleError, match="more than a run may have"):
        Streams(num=1, fps=1e-9).arrivals_ns(10_000, 0)


@pytest.mark.parametrize(
    ("rate_per_s", "clients", "num"),
    [(300, 1, 20), (0.1, 1, 1), (307, 1, 20), (308, 1, 21), (100, 4, 8), (1, 4, 4)],
)
def test_as_many_streams_as_make_a_rate(rate_per_s: float, clients: int, num: int) -> None:
    streams = Streams(num=3, fps=30, every=2).at_rate(rate_per_s, clients)
    assert streams == Streams(num=num, fps=30, every=2)
    assert streams.interval_ms == pytest.approx(1e3 / (15 * num), rel=1e-5)
