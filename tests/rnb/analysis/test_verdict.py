"""The verdict: a run in order is VALID, and each reason shows in a run that has just that fault."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.reasons import Reason
from rnb.analysis.verdict import Judgement, Verdict, judge
from rnb.contract.events import DUE, Event, EventKind
from rnb.contract.termination import Termination
from rnb.record.meta import Jobs, ServerMeta
from rnb.record.run import Run
from tests.support.single_server import single_server_run
from tests.support.timed_runs import NUM_CPUS, quiet_cpus, timed_run

NUM_REQUESTS = 1000
SERVICE_MS = 20.0


def run_of(num_requests: int = NUM_REQUESTS, **changes: Any) -> Run:
    """A request every 10 ms or so, each served in about 20 ms, without a queue: 10 s in all."""
    draw = np.random.default_rng(5)
    stages = {
        "enqueue_filename": np.full(num_requests, 0.1),
        "runner0_start": np.full(num_requests, 0.2),
        "inference0_start": np.zeros(num_requests),
        "inference0_finish": draw.uniform(SERVICE_MS - 1, SERVICE_MS + 1, num_requests),
        **changes.pop("stages", {}),
    }
    arrivals_ms = changes.pop("arrivals_ms", np.cumsum(draw.uniform(8, 12, num_requests)))
    args = {"mean_interval_ms": 10, "videos": num_requests, **changes.pop("args", {})}
    return timed_run(stages, arrivals_ms=arrivals_ms, args=args, **changes)


def held_up(num_slow: int, num_requests: int = NUM_REQUESTS) -> dict[str, NDArray[np.float64]]:
    """Services of which so many, evenly spread, take 50 ms instead of 20."""
    services_ms = np.full(num_requests, SERVICE_MS)
    services_ms[np.linspace(0, num_requests - 1, num_slow).astype(int)] = 50
    return {"inference0_finish": services_ms}


def reasons(verdict: Verdict) -> list[Reason]:
    return [finding.reason for finding in verdict.findings]


def only_finding(run: Run, reason: Reason) -> tuple[str, str]:
    """What was seen and what is advised, in a run that has this one fault."""
    verdict = judge(run)
    assert reasons(verdict) == [reason]
    assert not verdict.is_valid
    return verdict.findings[0].seen, verdict.findings[0].advice


def test_a_run_in_order_is_valid() -> None:
    verdict = judge(run_of())
    assert verdict.is_valid
    assert verdict.headline == "VALID"


def test_a_small_bulk_run_claims_nothing_that_it_cannot_show() -> None:
    stages = {"inference0_finish": np.arange(1.0, 25) * 700}
    verdict = judge(run_of(24, stages=stages, arrivals_ms=np.zeros(24), args={"mean_interval_ms": 0}))
    assert verdict.judgement is Judgement.NOT_JUDGED
    assert verdict.headline == "NOT JUDGED: steady state not tested"
    assert (verdict.to_json()["judgement"], verdict.to_json()["is_valid"]) == ("NOT JUDGED", None)
    (missing,) = verdict.missing
    assert missing.seen.startswith("0 requests finished while it could be steady")
    assert missing.advice == "-v 221"


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        ({}, "-v 2200"),
        ({"duration": 10}, "--duration 22"),
        ({"replay": "logs/run"}, "--replay a run with 2200 requests"),
        ({"arrivals": "trace", "videos": None}, "an --arrivals-file with 2200 times"),
    ],
)
def test_too_short(args: Mapping[str, Any], advice: str) -> None:
    run = run_of(args={"min_duration": 20, **args}, arrivals_ms=np.arange(10.0, 10_001, 10))
    run.times[Event(EventKind.FINISHED, 0)][-1] = run.due_ns[0] + 10_000_000_000
    seen, found = only_finding(run, Reason.TOO_SHORT)
    assert seen == "the measured phase took 10.0 s, at least 20 s are asked for"
    assert found == advice


@pytest.mark.parametrize("claim", [{"slo": 100}, {"percentile": 90}])
def test_a_claim_about_a_percentile_takes_a_minute(claim: Mapping[str, Any]) -> None:
    assert reasons(judge(run_of(args=claim))) == [Reason.TOO_SHORT]
    assert judge(run_of(args={**claim, "min_duration": 5})).is_valid


CLAIM = {"slo": 40, "percentile": 99, "min_duration": 0}


def test_a_tail_bound_that_is_shown() -> None:
    verdict = judge(run_of(stages=held_up(2), args=CLAIM))
    assert verdict.is_valid
    assert verdict.tail_bound is not None
    assert verdict.tail_bound.num_over == 2
    assert verdict.notes == (
        "p99 is at most 40 ms, with 99 % confidence: 2 of 1000 requests took more than 40 ms, and 838"
        " requests are enough with as many over it",
    )


def test_a_tail_bound_that_needs_more_requests() -> None:
    seen, advice = only_finding(run_of(stages=held_up(3), args=CLAIM), Reason.TOO_FEW_REQUESTS)
    assert seen == (
        "3 of 1000 requests took more than 40 ms; 1 more within it show with 99 % confidence that p99 is"
    )
    assert advice == "-v 1001"


def test_a_tail_bound_that_is_missed() -> None:
    seen, advice = only_finding(run_of(stages=held_up(11), args=CLAIM), Reason.BOUND_MISSED)
    assert seen == "11 of 1000 requests took more than 40 ms, p99 allows 1 %"
    assert advice.startswith("-mi 11")


def test_without_a_percentile_the_bound_is_of_the_p99() -> None:
    bound = judge(run_of(args={"slo": 40})).tail_bound
    assert bound is not None
    assert bound.percentile == 99


def test_a_request_without_a_result_is_over_any_bound() -> None:
    status = np.full(NUM_REQUESTS, "finished", dtype=object)
    status[::50] = "failed"
    verdict = judge(run_of(columns={"status": status}, args={**CLAIM, "max_failures": 20}))
    assert reasons(verdict) == [Reason.BOUND_MISSED]


@pytest.mark.parametrize(("num_requests", "is_enough"), [(129, False), (130, True)])
def test_too_few_requests_for_a_percentile(num_requests: int, is_enough: bool) -> None:
    run = run_of(num_requests, args={"percentile": 95, "min_duration": 0})
    assert (not judge(run).findings) == is_enough
    if not is_enough:
        assert only_finding(run, Reason.TOO_FEW_REQUESTS) == (
            "129 requests, and p95 takes at least 130",
            "-v 130",
        )


@pytest.mark.parametrize(("num_late", "is_valid"), [(10, True), (11, False)])
def test_a_late_client(num_late: int, is_valid: bool) -> None:
    lateness_ms = np.full(NUM_REQUESTS, 0.9)
    lateness_ms[:: NUM_REQUESTS // num_late][:num_late] = 1.1
    run = run_of(stages={"enqueue_filename": lateness_ms})
    assert judge(run).is_valid == is_valid
    if not is_valid:
        seen, advice = only_finding(run, Reason.CLIENT_LATE)
        assert seen == "1.1% of the requests were sent more than 1 ms late, 1.1 ms at worst; 1% may be"
        assert advice.startswith("a machine that wakes a process within 1 ms")


def late_run(**use_percent: float) -> Run:
    """A run whose client is late, with another use of the CPUs by 'client', 'step 0.0' and 'others'."""
    run = run_of(stages={"enqueue_filename": np.full(NUM_REQUESTS, 2.0)}, args={"clients": 3})
    telemetry = quiet_cpus(run.end_ns, [use_percent.pop("others", 0.0)])
    for name, use in use_percent.items():
        column = telemetry[f"process.{name}.cpu_percent"]
        telemetry["cpu.percent"] += (use - column) / NUM_CPUS
        column[:] = use
    run.tables["telemetry"] = telemetry
    return run


def test_what_to_do_about_a_late_client_follows_from_its_cause() -> None:
    _, advice = only_finding(late_run(client=80.0), Reason.CLIENT_LATE)
    assert advice == "--clients 6"
    _, advice = only_finding(late_run(**{"step 0.0": 370.0}), Reason.CLIENT_LATE)
    assert advice.startswith("-mi 11")
    _, advice = only_finding(late_run(others=20.0), Reason.CLIENT_LATE)
    assert advice.startswith("see to what else the machine does")
    busy = judge(late_run(client=80.0, others=60.0))
    assert reasons(busy) == [Reason.OTHER_LOAD, Reason.CLIENT_LATE]
    assert busy.findings[1].advice == "see to the other load first: this may follow from it"
    unknown = late_run()
    del unknown.tables["telemetry"]
    assert judge(unknown).findings[0].advice.startswith("--clients 6, or fewer processes")


def test_at_once_nobody_can_be_late() -> None:
    run = run_of(
        stages={"enqueue_filename": np.arange(1.0, 1001), "runner0_start": np.arange(1.0, 1001) * 20},
        arrivals_ms=np.zeros(NUM_REQUESTS),
        args={"mean_interval_ms": 0},
    )
    assert judge(run).is_valid


def test_a_full_queue() -> None:
    status = np.full(NUM_REQUESTS, "finished", dtype=object)
    status[-1] = "refused"
    run = run_of(
        columns={"status": status}, termination_flag=Termination.FILENAME_QUEUE_FULL, args={"queue_size": 5}
    )
    seen, advice = only_finding(run, Reason.QUEUE_FULL)
    assert seen == "a queue was full after 999 of 1000 requests"
    assert advice.startswith("-mi 11")


@pytest.mark.parametrize(("max_failures", "is_valid"), [(3, False), (4, True)])
def test_failed_requests(max_failures: int, is_valid: bool) -> None:
    status = np.full(NUM_REQUESTS, "finished", dtype=object)
    status[:4] = "failed"
    run = run_of(columns={"status": status}, args={"max_failures": max_failures})
    assert judge(run).is_valid == is_valid
    if not is_valid:
        assert only_finding(run, Reason.REQUESTS_FAILED) == (
            "4 of 1000 requests failed, at most 3 may",
            "see 'reason' in requests.parquet; --max-failures 4 accepts them",
        )


SERVER = ServerMeta(
    url="http://box:8000", model="net", model_version="1", name="triton", version="2", extensions=[]
)


def test_a_server_that_is_too_busy_makes_its_requests_fail_and_cuts_nothing_short() -> None:
    status = np.full(NUM_REQUESTS, "finished", dtype=object)
    reason = np.full(NUM_REQUESTS, "", dtype=object)
    status[:3], reason[:3] = "refused", "refused by the server: 503: busy"
    status[3:5], reason[3], reason[4] = "failed", "500: a", "500: b"
    run = run_of(columns={"status": status, "reason": reason}, server=SERVER)
    seen, _ = only_finding(run, Reason.REQUESTS_FAILED)
    assert seen == (
        "5 of 1000 requests failed, at most 0 may: 3 x refused by the server: 503: busy; 1 x 500: a;"
        " 1 x 500: b"
    )


@pytest.mark.parametrize(("in_flight", "is_full"), [(3, True), (500, False)])
def test_a_client_that_waits_for_a_server_needs_no_other_client(in_flight: int, is_full: bool) -> None:
    run = late_run(client=80.0)
    run.args["in_flight"], run.args["clients"] = in_flight, 1
    _, advice = only_finding(run, Reason.CLIENT_LATE)
    assert advice.endswith("as the server left 3 requests without an answer, or more --in-flight") == is_full


def test_lost_requests() -> None:
    status = np.full(NUM_REQUESTS, "finished", dtype=object)
    status[7] = "unfinished"
    seen, _ = only_finding(run_of(columns={"status": status}), Reason.REQUESTS_LOST)
    assert seen == "1 of 1000 requests have no outcome, though no process failed"


def cut_short(termination: Termination, *, num_finished: int = 400, **changes: Any) -> Run:
    """A run that ends in the middle: what was on its way then has no outcome, and no time of its end."""
    status = np.full(NUM_REQUESTS, "unfinished", dtype=object)
    status[:num_finished] = "finished"
    run = run_of(columns={"status": status}, termination_flag=termination, is_success=False, **changes)
    for event, times in run.times.items():
        if event != DUE:
            times[num_finished:] = 0
    run.meta.end_epoch_ns = int(run.times[DUE][num_finished + 5])
    return run


@pytest.mark.parametrize("limits", [{}, {"slo": 40, "percentile": 99}])
@pytest.mark.parametrize(
    ("termination", "message", "reason", "seen", "advice"),
    [
        (
            Termination.PROCESS_FAILED,
            "step 1.0 (pid 7) was killed by SIGKILL",
            Reason.PROCESS_FAILED,
            "step 1.0 (pid 7) was killed by SIGKILL, after 400 of 1000 requests",
            "see who killed it",
        ),
        (
            Termination.PROCESS_FAILED,
            "step 1.0 failed: ArithmeticError: no",
            Reason.PROCESS_FAILED,
            "step 1.0 failed: ArithmeticError: no, after 400 of 1000 requests",
            "see what it wrote to stderr",
        ),
        (
            Termination.INTERRUPTED,
            "interrupted",
            Reason.INTERRUPTED,
            "a signal ended it after 400 of 1000 requests",
            "let it play to its end",
        ),
        (
            Termination.FRAME_QUEUE_FULL,
            "frame queue 0 is full",
            Reason.QUEUE_FULL,
            "frame queue 0 was full after 400 of 1000 requests",
            "-mi ",
        ),
    ],
)
def test_of_a_run_that_was_cut_short_only_the_cause_is_told(
    limits: Mapping[str, Any],
    termination: Termination,
    message: str,
    reason: Reason,
    seen: str,
    advice: str,
) -> None:
    run = cut_short(termination, message=message, full_queue="frame queue 0", args=limits)
    verdict = judge(run)
    assert [(finding.reason, finding.seen) for finding in verdict.findings] == [(reason, seen)]
    assert verdict.findings[0].advice.startswith(advice)
    assert (verdict.missing, verdict.notes) == ((), ())


def telemetry(run: Run, bit: int, num_samples: int, *, outside: int = 0) -> dict[str, NDArray[Any]]:
    """100 samples of two GPUs, of which the second shows the bit in so many, and NaN once."""
    start_ns, end_ns = run.window_ns
    masks = np.ones(100)
    masks[:num_samples] += bit
    masks[-1] = np.nan
    return {
        "time_ns": np.linspace(start_ns + 1000, end_ns - 1000, 100).astype(np.int64) + outside,
        "gpu0.throttle_reasons": np.ones(100),
        "gpu1.throttle_reasons": masks,
        "gpu2.throttle_reasons": np.full(100, np.nan),
        **{name: values[:1].repeat(100) for name, values in quiet_cpus(end_ns).items() if name != "time_ns"},
    }


@pytest.mark.parametrize(
    ("bit", "name"),
    [
        (0x08, "hardware slowdown"),
        (0x20, "software thermal slowdown"),
        (0x40, "hardware thermal slowdown"),
        (0x80, "hardware power brake"),
    ],
)
def test_throttled_clocks(bit: int, name: str) -> None:
    run = run_of()
    run.tables["telemetry"] = telemetry(run, bit, 33)
    seen, advice = only_finding(run, Reason.CLOCKS_THROTTLED)
    assert seen == f"the GPU slowed itself down: gpu1 in 33% of the samples ({name})"
    assert "cooling" in advice


def test_what_is_no_throttling() -> None:
    run = run_of()
    run.tables["telemetry"] = telemetry(run, 0x08, 33, outside=3_600_000_000_000)
    assert not judge(run).findings
    run.tables["telemetry"] = telemetry(run, 0x102, 99)  # application and display clocks: set by the user
    assert judge(run).notes == ()
    run.tables["telemetry"] = telemetry(run, 0x04, 50)
    assert judge(run).is_valid
    assert judge(run).notes == ("at its power cap: gpu1 in 51% of the samples",)


def overloaded(**changes: Any) -> Run:
    """One server that takes 15 ms for a request every 10 ms."""
    arrivals_ms = np.arange(10.0, 10 * NUM_REQUESTS + 1, 10)
    waits_ms = 5.0 * np.arange(NUM_REQUESTS)
    return run_of(
        arrivals_ms=arrivals_ms,
        stages={
            "runner0_start": waits_ms,
            "inference0_finish": np.full(NUM_REQUESTS, 15.0),
        },
        **changes,
    )


def test_growing_queues_are_no_steady_state() -> None:
    verdict = judge(overloaded())
    assert set(reasons(verdict)) == {Reason.NOT_STEADY, Reason.LITTLES_LAW}
    steady = next(finding for finding in verdict.findings if finding.reason is Reason.NOT_STEADY)
    assert "the backlog grew by " in steady.seen
    assert steady.advice == "-mi 16.5, since the queues grow"


def test_queues_that_grow_under_other_load_are_no_reason_to_send_less() -> None:
    run = overloaded()
    run.tables["telemetry"] = quiet_cpus(run.end_ns, (0.0, 80.0))
    load, *others = judge(run).findings
    assert load.reason is Reason.OTHER_LOAD
    assert {one.reason for one in others} == {Reason.NOT_STEADY, Reason.LITTLES_LAW}
    assert {one.advice for one in others} == {"see to the other load first: this may follow from it"}
    run.meta.termination_flag = Termination.FILENAME_QUEUE_FULL
    (full,) = judge(run).findings
    assert full.advice.startswith("see to what else the machine does first; else -mi ")


def test_a_rate_that_changes_is_no_steady_state() -> None:
    arrivals_ms = np.cumsum(np.concatenate([np.full(500, 20.0), np.full(500, 5.0)]))
    advice = {}
    for name, args in {
        "ramp": {"ramp": "50:200:10"},
        "nothing": {},
        "warmup": {"warmup": 100},
    }.items():
        verdict = judge(run_of(arrivals_ms=arrivals_ms, args=args))
        finding = next(finding for finding in verdict.findings if finding.reason is Reason.NOT_STEADY)
        advice[name] = finding.advice
    assert advice["ramp"] == "a --warmup in which the --ramp ends"
    assert advice["nothing"] == "--warmup 500"
    assert advice["warmup"] == "-v 3000"


def test_littles_law_in_a_run_too_short_for_its_latency() -> None:
    run = run_of(150, stages={"inference0_finish": np.full(150, 1000.0)})
    seen, advice = only_finding(run, Reason.LITTLES_LAW)
    assert "rate times latency is 10" in seen
    assert "-v 450" in advice


def test_the_warm_up_does_not_count() -> None:
    is_warmup = np.arange(NUM_REQUESTS) < 100
    stages = held_up(0)
    stages["enqueue_filename"] = np.where(is_warmup, 5.0, 0.1)
    stages["inference0_finish"] = np.where(is_warmup, 60.0, SERVICE_MS)
    verdict = judge(run_of(columns={"is_warmup": is_warmup}, stages=stages, args=CLAIM))
    assert verdict.tail_bound is not None
    assert (verdict.tail_bound.num_requests, verdict.tail_bound.num_over) == (900, 0)
    assert verdict.is_valid


def test_it_is_told_in_a_line_and_as_json() -> None:
    status = np.full(NUM_REQUESTS, "finished", dtype=object)
    status[:20] = "failed"
    verdict = judge(run_of(columns={"status": status}, args=CLAIM))
    assert verdict.headline == "INVALID: requests failed, latency bound missed"
    assert [finding.seen for finding in verdict.findings] == [
        "20 of 1000 requests failed, at most 0 may",
        "20 of 1000 requests took more than 40 ms, p99 allows 1 %",
    ]
    assert verdict.findings[0].advice == "see 'reason' in requests.parquet; --max-failures 20 accepts them"
    assert verdict.to_json()["is_valid"] is False
    assert verdict.to_json()["reasons"][0]["reason"] == "requests failed"


def test_remarks_on_requests_that_were_served_are_noted() -> None:
    reason = np.full(NUM_REQUESTS, "", dtype=object)
    reason[[3, 7]] = "a.avi: has 20 of the 48 frames that its header declares", "b.avi: ends early"
    [note] = judge(run_of(columns={"reason": reason})).notes
    assert note == (
        "2 requests were served with a remark ('reason' in requests.parquet):"
        " a.avi: has 20 of the 48 frames that its header declares"
    )


def test_a_folder_of_snuspl_rnb_can_be_judged() -> None:
    run = run_of()
    run.meta.is_seed_format, run.meta.args, run.meta.replicas = True, {"mean_interval_ms": 10}, []
    del run.times[DUE]
    run.requests = {name: run.requests[name] for name in ("status", "is_warmup")}
    run.tables, run.meta.provenance = {}, {}
    assert judge(run).headline == "NOT JUDGED: other load not looked at"


def test_a_million_requests_take_seconds() -> None:
    draw = np.random.default_rng(2)
    run = run_of(
        1_000_000, arrivals_ms=np.cumsum(draw.exponential(10, 1_000_000)), args={"slo": 40, "percentile": 99}
    )
    started = time.process_time()
    judge(run)
    assert time.process_time() - started < 6


def server_run(services_ms: NDArray[np.float64], **changes: Any) -> Run:
    """One server, a request every 20 ms on average."""
    arrivals_s = np.cumsum(np.random.default_rng(3).exponential(0.02, len(services_ms)))
    return single_server_run(arrivals_s, services_ms / 1e3, **changes)


def services_ms(num_requests: int = 3000) -> NDArray[np.float64]:
    return np.random.default_rng(4).exponential(6, num_requests)


def test_a_hang_makes_a_run_invalid() -> None:
    hang = services_ms()
    hang[1500] += 2000
    seen, advice = only_finding(server_run(hang), Reason.NOT_STEADY)
    assert seen.startswith("nothing finished for 2 s at ") or "a call of step 0 took 2 s at " in seen
    assert advice == "see --trace for what stopped; if it is rare and real, -v 9000"


def test_a_short_hang_is_noted() -> None:
    hang = services_ms()
    hang[1500] += 300
    verdict = judge(server_run(hang))
    assert verdict.is_valid
    assert " s at 30." in verdict.notes[0]


def test_a_start_that_is_left_out_is_noted_and_no_figure_counts_it() -> None:
    cold = services_ms()
    cold[:400] *= 5
    verdict = judge(server_run(cold, args=CLAIM))
    assert verdict.tail_bound is not None
    assert verdict.tail_bound.num_requests < 2600
    [note] = [note for note in verdict.notes if "leave out" in note]
    assert note.startswith("steady from ")
    assert "--warmup " in note


def test_a_bound_at_a_load_takes_more_requests() -> None:
    """None of 3,000 is over it, of which 459 would do if they did not depend on each other."""
    run = server_run(np.full(3000, 18.0), args={**CLAIM, "slo": 5000})
    verdict = judge(run)
    assert Reason.TOO_FEW_REQUESTS in reasons(verdict)
    assert verdict.tail_bound is not None
    assert verdict.tail_bound.num_over == 0
    assert verdict.tail_bound.num_needed
    assert verdict.tail_bound.num_needed > 3 * 3000


@pytest.mark.parametrize(
    ("jobs", "note"),
    [
        (None, None),
        (Jobs(num_deaths=0, num_recycled=0, num_tries=0, num_touched=0), None),
        (
            Jobs(num_deaths=3, num_recycled=0, num_tries=14, num_touched=12),
            "3 processes of replicas died, 12 requests failed or lost their replica, and 14 tries"
            " were made again",
        ),
        (Jobs(num_deaths=0, num_recycled=1, num_tries=0, num_touched=0), "1 was recycled"),
    ],
)
def test_a_run_that_went_on_where_others_end_says_so(jobs: Jobs | None, note: str | None) -> None:
    run = run_of()
    run.meta.jobs = jobs
    told = () if note is None else (f"{note} (events.parquet): its figures contain that",)
    assert judge(run).notes == told
