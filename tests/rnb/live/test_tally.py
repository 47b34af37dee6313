"""What each step did, counted from timestamps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnb.contract.events import Event
from rnb.live.asking import BOUNDS_MS, Work
from rnb.live.ledger import Ledger
from rnb.live.table import NEVER_NS, LiveTable, Outcome
from rnb.live.tally import Tally

EVENTS = tuple(
    map(
        Event.parse,
        (
            "scheduled",
            "enqueue_filename",
            "runner0_start",
            "inference0_start",
            "inference0_finish",
            "handoff0_finish",
            "runner1_start-0",
            "runner1_start-1",
            "inference1_start-0",
            "inference1_start-1",
            "inference1_finish",
        ),
    )
)
MS = 1_000_000
SERVED = dict(zip([event.name for event in EVENTS], (1, 2, 5, 6, 16, 18, 20, 21, 24, 25, 40), strict=True))
"""When a request reached each event, in ms."""


def tally_of(*requests: tuple[Outcome, Mapping[str, float], float]) -> Tally:
    """Of requests with these outcomes, times of events, and when they were answered, in ms."""
    table, tally = LiveTable(num_rows=1, events=EVENTS), Tally("whole", ["first", "second"], EVENTS)
    ledger = Ledger(table, len(requests))
    for number, (outcome, times_ms, ended_ms) in enumerate(requests):
        row = table.admit(number, NEVER_NS)
        for event in EVENTS:
            table.column(event)[row] = int(times_ms.get(event.name, 0) * MS)
        ledger.add(table, row, outcome, int(ended_ms * MS), payload="")
        tally.count(ledger, number)
    return tally


def work(count: int, ms: float) -> Work:
    return Work(count=count, ns=int(ms * MS))


def test_the_parts_of_a_step_are_its_queue_and_what_follows() -> None:
    told = tally_of((Outcome.RESULT, SERVED, 41)).statistics(0)
    first, second, whole = told["first"], told["second"], told["whole"]
    assert (first.queue, first.compute_input, first.compute_infer, first.compute_output) == (
        work(1, 3), work(1, 1), work(1, 10), work(1, 2)
    )  # fmt: skip
    assert first.success == work(1, 16)
    assert (second.queue, second.compute_input, second.compute_infer, second.compute_output) == (
        work(1, 3), work(1, 4), work(1, 15), work(1, 0)
    )  # fmt: skip
    assert (whole.success, whole.queue, whole.compute_infer) == (work(1, 40), work(1, 6), work(1, 25))
    assert second.last_inference_ms == 40


def test_what_failed_or_was_dropped_counts_where_it_ended() -> None:
    fails_first = {name: SERVED[name] for name in ("scheduled", "enqueue_filename", "runner0_start")}
    dropped_second = {
        name: time for name, time in SERVED.items() if not name.endswith(("1_finish", "0", "1"))
    }
    del dropped_second["handoff0_finish"], dropped_second["inference0_finish"]
    dropped_second |= {"inference0_finish": 16, "handoff0_finish": 18}
    tally = tally_of((Outcome.BAD, fails_first, 9), (Outcome.DROPPED, dropped_second, 50))
    told = tally.statistics(0)
    assert (told["first"].fail, told["first"].cancel, told["first"].success) == (
        work(1, 7), work(0, 0), work(1, 16)
    )  # fmt: skip
    assert (told["second"].fail, told["second"].cancel) == (work(0, 0), work(1, 32))
    assert (told["whole"].fail, told["whole"].cancel) == (work(1, 8), work(1, 49))
    assert told["whole"].inference_count == 0


def test_requests_of_one_call_are_one_execution() -> None:
    later = {name: time + 100 for name, time in SERVED.items()}
    tally = tally_of((Outcome.RESULT, SERVED, 41), (Outcome.RESULT, SERVED, 41), (Outcome.CLASS, later, 141))
    assert (tally.statistics(0)["first"].inference_count, tally.statistics(0)["first"].execution_count) == (
        3,
        2,
    )


def test_buckets_hold_lengths_up_to_their_bounds() -> None:
    tally = tally_of((Outcome.RESULT, SERVED, 41), (Outcome.RESULT, SERVED, 20_001))
    counts = tally.histograms()["whole"].counts
    assert {bound: count for bound, count in zip((*BOUNDS_MS, np.inf), counts, strict=True) if count} == {
        50: 1,
        np.inf: 1,
    }
    assert tally.histograms()["whole"].ns == (40 + 20_000) * MS
    assert dict(zip(BOUNDS_MS, tally.histograms()["first"].counts, strict=False))[25] == 2
