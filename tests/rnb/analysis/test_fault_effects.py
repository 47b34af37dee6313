"""What a fault did, in runs that are made up: a request each 10 ms, each served in 9 ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rnb.analysis.fault_effects import FaultEffect, fault_effects
from rnb.analysis.reasons import Reason
from rnb.analysis.verdict import judge
from rnb.contract.termination import Termination
from rnb.record.meta import PlayedFault
from rnb.record.run import Run
from rnb.show.text.fault_text import fault_text
from tests.support.sample_runs import START_NS
from tests.support.timed_runs import timed_run

NUM_REQUESTS = 1000


def fault(start_s: float | None, end_s: float | None, text: str = "stall:step0*2s@4s") -> PlayedFault:
    start, end = (None if at is None else START_NS + round(at * 1e9) for at in (start_s, end_s))
    return PlayedFault(fault=text, what="step 0.0 stands still", start_epoch_ns=start, end_epoch_ns=end)


def run_of(faults: Sequence[PlayedFault], waits_ms: Any = 0.0, **changes: Any) -> Run:
    return timed_run(
        {
            "enqueue_filename": np.full(NUM_REQUESTS, 0.1),
            "runner0_start": np.zeros(NUM_REQUESTS) + waits_ms,
            "inference0_finish": np.full(NUM_REQUESTS, 8.9),
        },
        faults=list(faults),
        **changes,
    )


def stalled_from_4_to_6_s() -> Any:
    """Who is due then waits for its end; the queue is empty again at 7 s."""
    due_s = np.arange(NUM_REQUESTS) / 100
    return 1000 * np.interp(due_s, [0, 3.999, 4, 6, 7, 10], [0, 0, 2, 1, 0, 0])


def only_effect(run: Run) -> FaultEffect:
    (effect,) = fault_effects(run)
    return effect


def test_before_during_and_after() -> None:
    effect = only_effect(run_of([fault(4, 6)], stalled_from_4_to_6_s()))
    assert [(part.name, part.num_requests, part.num_lost) for part in effect.parts] == [
        ("before", 400, 0),
        ("during", 200, 0),
        ("after", 400, 0),
    ]
    before, during, after = (part.latency.mean_ms for part in effect.parts)
    assert before == pytest.approx(9.0)
    assert during == pytest.approx(9.0 + 1500, rel=0.01)
    assert after == pytest.approx(9.0 + 500 / 4, rel=0.02)


def test_recovery_is_when_latency_is_usual_again() -> None:
    effect = only_effect(run_of([fault(4, 6)], stalled_from_4_to_6_s()))
    assert effect.recovery_s == pytest.approx(1.0, abs=0.15)  # the median of 20 is usual ten requests early
    assert effect.recovery.startswith(f"recovered {effect.recovery_s:.3f} s after its end")
    assert effect.recovery.endswith(" (within 9.000 ms, the p90 before)")


def test_what_did_no_harm_needs_no_recovery() -> None:
    assert only_effect(run_of([fault(4, 6)])).recovery_s == 0.0


def test_what_stays_is_no_recovery() -> None:
    run = run_of([fault(4, 6)], np.where(np.arange(NUM_REQUESTS) < 400, 0.0, 50.0))
    effect = only_effect(run)
    assert effect.recovery_s is None
    assert effect.recovery == "it did not recover: no 20 requests in a row were within 9.000 ms"


def test_what_lasts_until_the_end_has_no_after() -> None:
    run = run_of([])
    run.meta.faults = [fault(4, (run.end_ns - START_NS) / 1e9)]
    effect = only_effect(run)
    assert effect.parts[-1].num_requests == 0
    assert effect.recovery == "it lasted until the run ended"


def test_too_few_requests_to_tell() -> None:
    assert only_effect(run_of([fault(0.1, 6)])).recovery.startswith("recovery is not known: it takes 20")
    assert only_effect(run_of([fault(4, 9.9)])).recovery.startswith("recovery is not known: it takes 20")


def test_what_was_lost() -> None:
    status = np.full(NUM_REQUESTS, "finished", dtype=object)
    status[398:], status[450], status[451] = "unfinished", "failed", "unfinished"
    kill = fault(4, 4, "kill:step0@4s")
    failed = {"termination_flag": Termination.PROCESS_FAILED, "is_success": False}
    run = run_of([kill], columns={"status": status}, **failed)
    effect = only_effect(run)
    assert [part.num_lost for part in effect.parts] == [2, 0, 600]
    assert effect.recovery == "nothing finished that was due after it"
    (found,) = judge(run).findings
    assert found.reason is Reason.PROCESS_FAILED
    assert found.advice == "nothing, where --fault kill:step0@4s was to do that"


def test_another_fault_is_kept_out() -> None:
    effects = fault_effects(run_of([fault(2, 3), fault(6, 7)]))
    spans = [[(part.start_s, part.end_s) for part in effect.parts] for effect in effects]
    assert spans[0] == [(0, 2), (2, 3), (3, 6)]
    assert [*spans[1][:2], spans[1][2][0]] == [(3, 6), (6, 7), 7]


def test_what_was_not_played_and_what_has_no_before() -> None:
    effect = only_effect(run_of([fault(None, None)]))
    assert (effect.parts, effect.recovery) == ((), "it was not played: the run was over before its time")
    at_once = run_of([fault(4, 6)], 20.0 * np.arange(NUM_REQUESTS), arrivals_ms=np.zeros(NUM_REQUESTS))
    assert only_effect(at_once).recovery.startswith("all requests were due at once")


def test_the_verdict_says_that_there_were_faults() -> None:
    verdict = judge(run_of([fault(4, 6)]))
    assert verdict.headline == "VALID, with faults"
    assert verdict.notes[0] == "played with --fault stall:step0*2s@4s: not to be compared with runs without"
    assert verdict.to_json()["has_faults"] is True


def test_as_text_and_as_json() -> None:
    effect = only_effect(run_of([fault(4, 6)], stalled_from_4_to_6_s()))
    lines = fault_text([effect]).splitlines()
    assert lines[:2] == ["What the faults did:", "stall:step0*2s@4s: step 0.0 stands still"]
    assert " ".join(lines[2].split()) == "from s to s requests no result mean ms p50 ms p95 ms"
    assert lines[3].split() == ["before", "0.000", "4.000", "400", "0", "9.000", "9.000", "9.000"]
    assert lines[6] == f"  {effect.recovery}"
    assert len(lines) == 7
    shown = effect.to_json()
    assert (shown["fault"], shown["parts"][1]["name"]) == ("stall:step0*2s@4s", "during")
    assert shown["parts"][1]["latency"]["count"] == 200
    failed = effect.fault.model_copy(update={"problem": "its process failed: out of memory"})
    told = fault_text([FaultEffect(fault=failed, parts=(), recovery_s=None, recovery="")])
    assert told.endswith("\n  its process failed: out of memory")
