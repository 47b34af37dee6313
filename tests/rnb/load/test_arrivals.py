"""Arrival times: each process, ramps and traces; the same for the same seed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.load.arrivals import ArrivalProcess, Ramp, ScheduleError, read_trace, within


def gaps_ms(arrivals_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.diff(arrivals_ns, prepend=0) / 1e6


def test_gaps_are_exponential_with_the_mean_asked_for() -> None:
    gaps = gaps_ms(ArrivalProcess(mean_interval_ms=5, seed=1).draw(200_000))
    assert (gaps >= 0).all()
    assert abs(gaps.mean() - 5) < 0.05
    assert abs(gaps.std() - 5) < 0.1  # an exponential distribution's deviation is its mean
    assert abs(np.mean(gaps > 5) - np.exp(-1)) < 0.01
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.01


def test_the_seed_decides() -> None:
    first, again, other = (ArrivalProcess(mean_interval_ms=5, seed=seed).draw(100) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("process", ["poisson", "constant", "gamma"])
def test_an_interval_of_zero_is_all_at_once(process: str) -> None:
    assert (ArrivalProcess(process=process, mean_interval_ms=0).draw(10) == 0).all()


def test_constant_gaps_are_exact_after_a_million() -> None:
    arrivals = ArrivalProcess(process="constant", mean_interval_ms=0.1).draw(1_000_000)
    assert (arrivals == np.arange(1, 1_000_001) * 100_000).all()


@pytest.mark.parametrize("burstiness", [0.25, 4.0])
def test_burstiness_is_the_shape_of_gamma_gaps(burstiness: float) -> None:
    gaps = gaps_ms(
        ArrivalProcess(process="gamma", mean_interval_ms=5, seed=1, burstiness=burstiness).draw(200_000)
    )
    assert abs(gaps.mean() - 5) < 0.1
    assert (
        abs(gaps.std() / gaps.mean() - 1 / math.sqrt(burstiness)) < 0.02
    )  # variation of a gamma distribution
    skewness = np.mean((gaps - gaps.mean()) ** 3) / gaps.std() ** 3
    assert abs(skewness - 2 / math.sqrt(burstiness)) < 0.2


def test_gamma_with_a_burstiness_of_1_is_poisson() -> None:
    poisson = ArrivalProcess(mean_interval_ms=5, seed=3).draw(1000)
    assert (
        ArrivalProcess(process="gamma", mean_interval_ms=5, seed=3, burstiness=1).draw(1000) == poisson
    ).all()


def test_a_ramp_of_constant_arrivals_is_exact() -> None:
    # 0 to 100 requests/s in 10 s: n = 5 t², so request n is due at √(n / 5) s; then one each 10 ms.
    load = ArrivalProcess(process="constant", ramp=Ramp.parse("0:100:10"))
    arrivals = load.draw(600)
    n = np.arange(1, 501)
    np.testing.assert_allclose(arrivals[:500] / 1e9, np.sqrt(n / 5), atol=1e-9)
    np.testing.assert_allclose(arrivals[500:] / 1e9, 10 + np.arange(1, 101) / 100, atol=1e-9)


def test_a_ramp_may_fall_or_stay() -> None:
    falling = ArrivalProcess(process="constant", ramp=Ramp.parse("100:50:2")).draw(250)
    # n = 100 t − 12.5 t²
    assert falling[149] == 2_000_000_000
    t = falling[:150] / 1e9
    np.testing.assert_allclose(100 * t - 12.5 * t**2, np.arange(1, 151), atol=1e-6)
    np.testing.assert_allclose(np.diff(falling[150:]) / 1e9, 1 / 50, atol=1e-8)
    flat = ArrivalProcess(process="constant", ramp=Ramp.parse("200:200:1")).draw(1000)
    assert (flat == np.arange(1, 1001) * 5_000_000).all()


@pytest.mark.parametrize(("process", "variation"), [("poisson", 1.0), ("gamma", 2.0)])
def test_a_ramp_of_random_arrivals_is_that_process_in_another_time(process: str, variation: float) -> None:
    ramp = Ramp.parse("100:1000:50")
    arrivals_s = ArrivalProcess(process=process, seed=5, burstiness=0.25, ramp=ramp).draw(40_000) / 1e9
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
    load = ArrivalProcess(mean_interval_ms=1, seed=2)
    arrivals = load.draw_for(10)
    assert (load.draw(len(arrivals)) == arrivals).all()  # the same schedule, cut off
    assert arrivals[-1] <= 10_000_000_000 < load.draw(len(arrivals) + 1)[-1]
    assert abs(len(arrivals) - 10_000) < 500


def test_what_is_within_a_duration_counts_from_the_last_of_the_warm_up() -> None:
    arrivals_ns = np.array([1, 2, 3, 4, 5]) * 1_000_000_000
    assert within(arrivals_ns, 2, 0).tolist() == arrivals_ns[:2].tolist()
    assert within(arrivals_ns, 2, 1).tolist() == arrivals_ns[:3].tolist()
    assert within(arrivals_ns, 0.5, 0).tolist() == []


def test_a_duration_begins_after_the_warm_up() -> None:
    arrivals = ArrivalProcess(process="constant", mean_interval_ms=10).draw_for(2, num_warmup=3000)
    assert len(arrivals) == 3200
    assert arrivals[-1] == 32_000_000_000


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


def test_a_schedule_whose_times_are_no_64_bit_nanoseconds_is_refused(tmp_path: Path) -> None:
    for mean_interval_ms in (9e12, 1e300):
        with pytest.raises(
            ScheduleError, match=r"the last request arrives after .* s: the most is 3153600000"
        ):
            ArrivalProcess(process="constant", mean_interval_ms=mean_interval_ms).draw(2)
    with pytest.raises(ScheduleError, match="the last request arrives after 1e\\+11 s"):
        read_trace(write(tmp_path, "0\n1e11\n"))


def test_more_requests_than_a_run_may_have() -> None:
    with pytest.raises(ScheduleError, match=r"^100000001 requests: a run may have 100000000$"):
        ArrivalProcess(mean_interval_ms=1).draw(100_000_001)
