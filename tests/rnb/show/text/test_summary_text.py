"""The table at the end of a run."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rnb.analysis.intervals import Interval
from rnb.analysis.summary import summarize
from rnb.contract.events import DUE, SENT
from rnb.record.run import Run
from rnb.show.text.summary_text import table
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def lines_of(run: Run) -> list[str]:
    return table(summarize(run)).splitlines()


def test_stages_below_a_hundredth_of_the_latency_are_hidden_and_counted() -> None:
    summary = summarize(simulate(num_requests=7000, has_telemetry=False))
    every, shown = (table(summary, has_all_stages=has_all).splitlines() for has_all in (True, False))
    names = {line.split("  ")[0] for line in shown}
    hidden = [line for line in every if line.split("  ")[0] not in names]
    assert [line.split("  ")[0] for line in hidden] == [
        "gather for step 0",
        "slot for step 0",
        "hand-off after step 0",
        "gather for step 1",
        "lateness of the client",
        "service (from sending)",
    ]
    least_ms = 0.01 * (summary.end_to_end.mean_ms or 0)
    means_ms = [float(line.split()[-7]) for line in hidden[:-1]]
    assert max(means_ms) < least_ms
    assert "6 rows not shown that make less than 1% of the latency (--verbose)" in shown
    assert not any("not shown" in line for line in every)


def test_the_service_is_shown_where_the_client_was_late() -> None:
    run = simulate(num_requests=700, has_telemetry=False)
    run.times[DUE] = run.times[DUE] - 5_000_000
    assert line_with(run, "lateness of the client")
    assert line_with(run, "service (from sending)")


def line_with(run: Run, start: str) -> str:
    return next(line for line in lines_of(run) if line.startswith(start))


def mm1(load: float, count: int) -> Run:
    random = np.random.default_rng(0)
    return single_server_run(np.cumsum(random.exponential(1 / load, count)), random.exponential(1, count))


def cold(count: int = 3000) -> Run:
    """Services of one second that take two and a half at first."""
    random = np.random.default_rng(0)
    services = random.exponential(1, count) * np.where(np.arange(count) < count // 10, 2.5, 1)
    return single_server_run(np.cumsum(random.exponential(2, count)), services)


@pytest.mark.parametrize("num_requests", [24, 200, 7000])
def test_a_run_of_two_steps_fits_a_screen(num_requests: int) -> None:
    lines = lines_of(simulate(num_requests=num_requests, has_telemetry=False))
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 110
    assert all(line == line.rstrip() for line in lines)


def test_the_columns_stand_under_their_names() -> None:
    header, *rows = lines_of(simulate(num_requests=7000, has_telemetry=False))
    assert header.split() == ["mean", "p50", "p90", "p95", "p99", "p99.9", "max", "ms"]
    stages = rows[: rows.index(next(row for row in rows if row.startswith("end to end"))) + 1]
    assert {len(line) for line in stages} == {len(header)}
    assert all(len(row.split()[-7:]) == 7 for row in stages)


def test_what_cannot_be_known_is_a_dash_with_a_footnote() -> None:
    run = single_server_run(np.arange(64.0), np.full(64, 0.5))
    assert line_with(run, "end to end").split()[3:] == [
        "500.000",
        "500.000",
        "500.000",
        "-",
        "-",
        "-",
        "500.000",
    ]
    assert line_with(run, "- :") == (
        "- : too few requests; needed are: p90 64, p95 130, p99 662, p99.9 6,636"
    )
    assert not any(line.startswith("  95 % interval") for line in lines_of(run))


def test_a_large_run_needs_no_footnote() -> None:
    assert not re.search(r"too few|^(step|end to end).* - ", table(summarize(mm1(0.5, 6636))), re.MULTILINE)


def test_the_interval_stands_below_the_latency() -> None:
    run = mm1(0.5, 2000)
    lines = lines_of(run)
    at = next(index for index, line in enumerate(lines) if line.startswith("end to end"))
    latency, low, high = (line.split()[-7:] for line in lines[at : at + 3])
    assert lines[at + 1].startswith("  95 % interval from")
    assert float(low[-6]) < float(latency[0]) < float(high[-6])  # the mean


def test_an_interval_without_an_upper_end_leaves_its_place_empty_and_none_is_a_dash() -> None:
    summary = summarize(mm1(0.5, 2000))
    summary.end_to_end.intervals_ms["p95"] = Interval(low=4000, high=None)
    lines = table(summary).splitlines()
    low, high = (
        next(line for line in lines if line.startswith(start)).split()
        for start in ("  95 % interval from", "                  to")
    )
    assert low[-2:] == ["4000.000", "-", "-"][-2:]
    assert len(high) == len(low) - 4
    assert high[-2:] == ["-", "-"]


def test_total_and_steady() -> None:
    run = mm1(0.5, 2000)
    assert re.fullmatch(r"total: 0\.\d\d videos/s, \d\.\d clips/s over \d+\.\d\d s", line_with(run, "total"))
    assert re.fullmatch(r"steady: from 0\.00 s to \d+\.\d\d s", line_with(run, "steady"))


def test_a_start_that_is_left_out_stands_beside_the_figures() -> None:
    run = cold()
    assert line_with(run, "from the steady start: 0.5")
    assert line_with(run, "with the start: 0.5")
    assert re.fullmatch(
        r"steady: from \d+\.\d\d s to \d+\.\d\d s, \d+ requests before it left out", line_with(run, "steady")
    )
    mean, with_start = (
        float(line_with(run, name).split()[-7]) for name in ("end to end", "  with the start")
    )
    assert mean < 3000 < with_start


def test_where_an_interval_takes_more_requests_it_says_how_many() -> None:
    start = "requests that a 95 % interval takes at this load: "
    assert re.match(start + r"mean \d,\d{3}, p50 \d,\d{3}, p90 ", line_with(mm1(0.7, 2000), "requests that"))
    assert line_with(mm1(0.3, 2000), "requests that").startswith(start + "p99 ")


def test_goodput_stands_beside_the_rate() -> None:
    services = np.where(np.arange(400) % 4 == 0, 0.3, 0.1)
    run = single_server_run(np.arange(400.0), services, args={"slo": 150})
    assert (
        line_with(run, "total")
        == "total: 1.00 videos/s, 2.0 clips/s, 0.75/s (75.00%) within 150 ms over 399.10 s"
    )


def test_why_a_run_is_not_steady() -> None:
    assert re.match(
        r"steady: no: the backlog grew by \d+ requests, chance gives \d+", line_with(mm1(1.5, 3000), "steady")
    )
    assert line_with(mm1(0.5, 20), "steady") == (
        "steady: not told: 18 requests finished while it could be steady, the test needs 200; about 200"
        " requests would"
    )


def test_littles_law() -> None:
    assert re.fullmatch(
        r"in the system: \d\.\d\d requests on average; rate x latency = \d\.\d\d"
        r" \(Little's law: 0\.\d% apart\)",
        line_with(mm1(0.5, 2000), "in the system"),
    )


def test_the_replicas() -> None:
    run = single_server_run(np.zeros(3), np.full(3, 2.0))
    assert line_with(run, "step 0.0").split() == [
        "step",
        "0.0",
        "A",
        "100.0%",
        "0.0%",
        "0.0%",
        "0.0%",
        "1.00",
        "2",
    ]


def test_many_replicas_are_shown_by_step() -> None:
    run = single_server_run(np.zeros(3), np.full(3, 2.0))
    run.meta.replicas = [{**run.meta.replicas[0], "replica": replica} for replica in range(10)]
    assert line_with(run, "step 0 A x10").split()[4:6] == ["10.0%", "90.0%"]


def test_the_last_line_counts_the_requests() -> None:
    run = single_server_run(np.arange(12.0), np.full(12, 0.5))
    run.requests["status"][8:] = ["failed", "failed", "refused", "unfinished"]
    run.times[SENT][10] = 0
    assert lines_of(run)[-1] == "requests: 12 scheduled, 11 sent, 1 refused, 2 failed, 8 finished"
    run.requests["is_warmup"] = np.arange(12) < 5
    assert lines_of(run)[-1] == (
        "requests: 7 scheduled, 6 sent, 1 refused, 2 failed, 3 finished; 5 of the warm-up not counted"
    )


def test_a_run_in_which_nothing_happened() -> None:
    run = single_server_run(np.arange(3.0), np.full(3, 0.5))
    run.requests["status"][:] = "unfinished"
    for event in run.events[1:]:
        run.times[event][:] = 0
    run.meta.end_epoch_ns = run.start_ns
    lines = lines_of(run)
    assert lines[-1] == "requests: 3 scheduled, 0 sent, 0 refused, 0 failed, 0 finished"
    assert line_with(run, "total").startswith("total: 0.00 videos/s over 0.00 s")
