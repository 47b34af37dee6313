"""The three figures above the table."""

from __future__ import annotations

import numpy as np

from rnb.analysis.summary import summarize
from rnb.show.text.headline_text import headline
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def test_throughput_and_percentiles() -> None:
    summary = summarize(simulate(num_requests=700))
    p50, p99 = (summary.end_to_end.percentiles_ms[name] for name in ("p50", "p99"))
    assert headline(summary, is_bulk=False) == (
        f"{summary.videos_per_s:.2f} videos/s, p50 {p50:.3f} ms, p99 {p99:.3f} ms"
    )


def test_a_percentile_of_too_few_requests_says_how_many_it_takes() -> None:
    words = headline(summarize(simulate(num_requests=661)), is_bulk=False)
    assert words.endswith(" ms, p99 - (takes 662 that finish)")


def test_of_a_bulk_run_it_says_how_long_it_took_and_what_held_it_up() -> None:
    summary = summarize(single_server_run(np.zeros(4), np.full(4, 2.0)))
    assert headline(summary, is_bulk=True) == "0.50 videos/s, 4 done in 8.00 s, step 0.0 A busy 100%"


def test_a_run_in_which_nothing_happened() -> None:
    run = single_server_run(np.arange(3.0), np.full(3, 0.5))
    run.requests["status"][:] = "unfinished"
    words = headline(summarize(run), is_bulk=False)
    assert words == "0.00 videos/s, p50 - (takes 1 that finish), p99 - (takes 662 that finish)"
