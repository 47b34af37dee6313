"""Arrival times: each process, ramps and traces; the same for the same seed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.arguments import parse_args
from rnb.schedule import Load, Ramp, ScheduleError, make_schedule, read_trace, settle


def gaps_ms(arrivals_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.diff(arrivals_ns, prepend=0) / 1e6


def schedule_of(*flags: str) -> NDArray[np.int64]:
    return make_schedule(parse_args(flags)).arrivals_ns


def test_gaps_are_exponential_with_the_mean_asked_for() -> None:
    gaps = gaps_ms(Load(mean_interval_ms=5, seed=1).draw(200_000))
    assert (gaps >= 0).all()
    assert abs(gaps.mean() - 5) < 0.05
    assert abs(gaps.std() - 5) < 0.1  # an exponential distribution's deviation is its mean
    assert abs(np.mean(gaps > 5) - np.exp(-1)) < 0.01
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.01


def test_the_seed_decides() -> None:
    first, again, other = (Load(mean_interval_ms=5, seed=seed).draw(100) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


def test_a_poisson_schedule_is_what_it_always_was() -> None:
    assert schedule_of("-v", "3").tolist() == [67_993_190, 169_952_901, 171_933_567]


@pytest.mark.parametrize("process", ["poisson", "constant", "gamma"])
def test_an_interval_of_zero_is_all_at_once(process: str) -> None:
    assert (Load(process=process, mean_interval_ms=0).draw(10) == 0).all()


def test_constant_gaps_are_exact_after_a_million() -> None:
    arrivals = Load(process="constant", mean_interval_ms=0.1).draw(1_000_000)
    assert (arrivals == np.arange(1, 1_000_001) * 100_000).all()


@pytest.mark.parametrize("burstiness", [0.25, 4.0])
def test_burstiness_is_the_shape_of_gamma_gaps(burstiness: float) -> None:
    gaps = gaps_ms(Load(process="gamma", mean_interval_ms=5, seed=1, burstiness=burstiness).draw(200_000))
    assert abs(gaps.mean() - 5) < 0.1
    assert (
        abs(gaps.std() / gaps.mean() - 1 / math.sqrt(burstiness)) < 0.02
    )  # variation of a gamma distribution
    skewness = np.mean((gaps - gaps.mean()) ** 3) / gaps.std() ** 3
    assert abs(skewness - 2 / math.sqrt(burstiness)) < 0.2


def test_gamma_with_a_burstiness_of_1_is_poisson() -> None:
    poisson = Load(mean_interval_ms=5, seed=3).draw(1000)
    assert (Load(process="gamma", mean_interval_ms=5, seed=3, burstiness=1).draw(1000) == poisson).all()


def test_a_ramp_of_constant_arrivals_is_exact() -> None:
    # 0 to 100 requests/s in 10 s: n = 5 t², so request n is due at √(n / 5) s; then one each 10 ms.
    load = Load(process="constant", ramp=Ramp.parse("0:100:10"))
    arrivals = load.draw(600)
    n = np.arange(1, 501)
    np.testing.assert_allclose(arrivals[:500] / 1e9, np.sqrt(n / 5), atol=1e-9)
    np.testing.assert_allclose(arrivals[500:] / 1e9, 10 + np.arange(1, 101) / 100, atol=1e-9)


def test_a_ramp_may_fall_or_stay() -> None:
    falling = Load(process="constant", ramp=Ramp.parse("100:50:2")).draw(250)
    # n = 100 t − 12.5 t²
    assert falling[149] == 2_000_000_000
    t = falling[:150] / 1e9
    np.testing.assert_allclose(100 * t - 12.5 * t**2, np.arange(1, 151), atol=1e-6)
    np.testing.assert_allclose(np.diff(falling[150:]) / 1e9, 1 / 50, atol=1e-8)
    flat = Load(process="constant", ramp=Ramp.parse("200:200:1")).draw(1000)
    assert (flat == np.arange(1, 1001) * 5_000_000).all()


@pytest.mark.parametrize(("process", "variation"), [("poisson", 1.0), ("gamma", 2.0)])
def test_a_ramp_of_random_arrivals_is_that_process_in_another_time(process: str, variation: float) -> None:
    ramp = Ramp.parse("100:1000:50")
    arrivals_s = Load(process=process, seed=5, burstiness=0.25, ramp=ramp).draw(40_000) / 1e9
    in_ramp = arrivals_s[arrivals_s < 50]
    # The integrated rate makes gaps of mean 1 with the variation of the process again.
    rescaled = np.diff(100 * in_ramp + 9 * in_ramp**2)
    assert abs(rescaled.mean() - 1) < 0.03
    assert abs(rescaled.std() - variation) < 0.1
    late = np.diff(arrivals_s[arrivals_s > 50])
    assert abs(late.mean() * 1000 - 1) < 0.06


@pytest.mark.parametrize(
    "text", ["1:2", "a:b:c", "1:2:3:4", "-1:2:3", "1:0:3", "1:2:0", "nan:1:1", "1:inf:1"]
)
def test_a_wrong_ramp(text: str) -> None:
    with pytest.raises(ValueError, match=r"START"):
        Ramp.parse(text)


def test_a_duration_takes_what_arrives_in_it() -> None:
    load = Load(mean_interval_ms=1, seed=2)
    arrivals = load.draw_for(10)
    assert (load.draw(len(arrivals)) == arrivals).all()  # the same schedule, cut off
    assert arrivals[-1] <= 10_000_000_000 < load.draw(len(arrivals) + 1)[-1]
    assert abs(len(arrivals) - 10_000) < 500


def test_a_duration_begins_after_the_warm_up() -> None:
    arrivals = Load(process="constant", mean_interval_ms=10).draw_for(2, num_warmup=3000)
    assert len(arrivals) == 3200
    assert arrivals[-1] == 32_000_000_000


def test_the_warm_up_comes_before_the_videos_to_measure() -> None:
    schedule = make_schedule(parse_args(["-v", "50", "--warmup", "7"]))
    assert (len(schedule), schedule.num_warmup) == (57, 7)
    assert (schedule.arrivals_ns[:50] == schedule_of("-v", "50")).all()


def write(folder: Path, text: str) -> str:
    path = folder / "times.csv"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "0\n0.25\n0.250000001\n3e0\n",
        "seconds,what\n0,a\n0.25,b\n\n0.250000001,c\n3,d\n",
        "\ufeff0\r\n0.25\r\n0.250000001\r\n3",
    ],
)
def test_a_trace_is_the_first_column_of_a_csv(tmp_path: Path, text: str) -> None:
    assert read_trace(write(tmp_path, text)).tolist() == [0, 250_000_000, 250_000_001, 3_000_000_000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no times in it; one a line, in seconds from the start"),
        ("time\n", "no times in it"),
        ("time\n1\nsoon\n", "line 3: 'soon': must be seconds from the start, at least 0"),
        ("-1\n", "line 1: '-1': must be seconds"),
        ("nan\n", "line 1: 'nan': must be seconds"),
        ("1\n2\n1.5\n", "line 3: 1.5: times must ascend; before it is 2"),
        ("\x00\xff", "cannot be read: "),
    ],
)
def test_a_bad_trace_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "times.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ScheduleError) as caught:
        read_trace(path)
    assert f"--arrivals-file {path}" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trace_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="cannot be read: No such file or directory"):
        read_trace(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("flags", "seconds"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["-v", "3"], [1, 2, 3]),
        (["-v", "3", "--warmup", "1"], [1, 2, 3, 4]),
        (["--duration", "2.5"], [1, 2]),
        (["--duration", "2.5", "--warmup", "2"], [1, 2, 3, 4]),
        (["--warmup", "2"], [1, 2, 3, 4, 5]),
    ],
)
def test_how_much_of_a_trace_is_played(tmp_path: Path, flags: list[str], seconds: list[int]) -> None:
    path = write(tmp_path, "1\n2\n3\n4\n5\n")
    arrivals = schedule_of("--arrivals", "trace", "--arrivals-file", path, *flags)
    assert (arrivals / 1e9).tolist() == seconds


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-v", "6"], "it has 5 times; --warmup 0 and -v 6 need 6"),
        (["--warmup", "5"], "no request to measure: 5 arrive, and --warmup takes 5"),
        (["--warmup", "9"], "no request to measure: 5 arrive, and --warmup takes 9"),
        (
            ["--duration", "0.5"],
            "no request to measure: 0 arrive within --duration 0.5 s, and --warmup takes 0",
        ),
        (["--warmup", "9", "--duration", "1"], "5 arrive within --duration 1 s, and --warmup takes 9"),
    ],
)
def test_a_trace_with_too_few_requests(tmp_path: Path, flags: list[str], message: str) -> None:
    path = write(tmp_path, "1\n2\n3\n4\n5\n")
    with pytest.raises(ScheduleError) as caught:
        schedule_of("--arrivals", "trace", "--arrivals-file", path, *flags)
    assert message in str(caught.value)


def test_what_the_schedule_decides_is_written_to_the_arguments(tmp_path: Path) -> None:
    path = write(tmp_path, "0.5\n1\n3\n4\n")
    args = parse_args(["--arrivals", "trace", "--arrivals-file", path, "--warmup", "1"])
    assert (args.videos, args.mean_interval_ms) == (None, None)
    settled = settle(args, make_schedule(args))
    assert (settled.videos, settled.mean_interval_ms) == (3, 1000)
    assert args.videos is None  # whoever searches for a limit makes other schedules of the same arguments


def test_what_the_command_line_decides_stays() -> None:
    args = parse_args(["-v", "5", "-mi", "3"])
    settled = settle(args, make_schedule(args))
    assert (settled.videos, settled.mean_interval_ms) == (5, 3)
