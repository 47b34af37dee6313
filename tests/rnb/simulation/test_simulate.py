"""The simulator against queueing theory, and the runner's rules one by one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.summary import summarize
from rnb.analysis.theory import MD1, MMc
from rnb.contract.events import DUE, Event, EventKind
from rnb.contract.termination import UsageError
from rnb.record.run import Run
from rnb.record.run_folder import read, write
from rnb.simulation.service_times import Costs, Samples
from rnb.simulation.simulate import Surroundings
from tests.support.ideal_queue import ideal_waits
from tests.support.known_times import NOTHING, KnownTimes, simulated, spec_of, step

COUNT = 60_000
BATCHER = "rnb.pipeline.batcher.Batcher"


def at(run: Run, kind: EventKind, step: int = 0, segment: int | None = None) -> list[float]:
    """When it happened to each request, in ms from the start."""
    times_ns = run.times[Event(kind, step, segment)] - run.start_ns
    return [round(time, 6) for time in (times_ns / 1e6).tolist()]


def waits_ms(run: Run) -> NDArray[np.float64]:
    waits: NDArray[np.float64] = (run.times[Event(EventKind.STARTED, 0)] - run.times[DUE]) / 1e6
    return waits


def exponential(mean_ms: float, seed: int, count: int = COUNT) -> NDArray[np.float64]:
    return np.random.default_rng(seed).exponential(mean_ms, count)


def test_one_server_waits_as_the_recursion_says_and_theory_within_2_percent() -> None:
    run = simulated(spec_of(step(), mean_interval_ms=10, videos=COUNT, seed=3), KnownTimes(lambda *_: 6.0))
    arrivals_ms = run.requests["arrival_ns"] / 1e6
    np.testing.assert_allclose(waits_ms(run), ideal_waits(arrivals_ms, [6.0] * COUNT, 1), atol=1e-5)
    assert waits_ms(run).mean() == pytest.approx(MD1(rate=0.1, service=6).mean_wait(), rel=0.02)


@pytest.mark.parametrize("num_servers", [2, 5])
@pytest.mark.parametrize("are_workers", [False, True])
def test_servers_that_share_a_queue(num_servers: int, are_workers: bool) -> None:
    services_ms = exponential(9.0, 4)
    servers: dict[str, Any] = {"workers": num_servers} if are_workers else {"replicas": num_servers}
    interval_ms = 9 / num_servers / 0.7
    run = simulated(
        spec_of(step(**servers), mean_interval_ms=interval_ms, videos=COUNT, seed=8),
        KnownTimes(lambda step, rows, request: services_ms[request]),
    )
    arrivals_ms = run.requests["arrival_ns"] / 1e6
    ideal = ideal_waits(arrivals_ms, services_ms.tolist(), num_servers)
    np.testing.assert_allclose(waits_ms(run), ideal, atol=0.05)


def test_two_servers_wait_as_theory_says_within_2_percent() -> None:
    count, services_ms = 300_000, exponential(9.0, 5, 300_000).tolist()
    run = simulated(
        spec_of(step(replicas=2), mean_interval_ms=9, videos=count, seed=2),
        KnownTimes(lambda step, rows, request: services_ms[request]),
    )
    theory = MMc(rate=1 / 9, service=9, num_servers=2)
    assert waits_ms(run).mean() == pytest.approx(theory.mean_wait(), rel=0.02)


def test_a_tandem_stays_as_long_as_theory_says_within_2_percent() -> None:
    """Burke, 'The output of a queuing system' (1956): each M/M/1 of a tandem is as if it were alone."""
    count, means_ms, interval_ms = 300_000, (5.0, 6.0), 11.0
    services_ms = [exponential(mean, 10 + number, count).tolist() for number, mean in enumerate(means_ms)]
    run = simulated(
        spec_of(step(), step(), mean_interval_ms=interval_ms, videos=count, seed=3),
        KnownTimes(lambda step, rows, request: services_ms[step][request]),
    )
    theory_ms = sum(1 / (1 / mean - 1 / interval_ms) for mean in means_ms)
    assert run.latency_ms.mean() == pytest.approx(theory_ms, rel=0.02)


def test_a_batch_queue_waits_as_theory_says_within_2_percent() -> None:
    """Up to 4 at a time for a fixed time; a free server takes a request at once."""
    count, service_ms, interval_ms, most = 300_000, 6.0, 2.0, 4
    run = simulated(
        spec_of(
            step("Source"),
            step("Change"),
            placement={"batch_size": most, "batch_timeout_ms": 0},
            mean_interval_ms=interval_ms,
            videos=count,
            seed=5,
        ),
        KnownTimes(lambda step, rows, request: service_ms * step),
    )
    waits = (run.times[Event(EventKind.STARTED, 1)] - run.times[DUE]) / 1e6
    theory_ms = bulk_wait_ms(interval_ms, service_ms, most)
    assert waits.mean() == pytest.approx(theory_ms, rel=0.02)


def bulk_wait_ms(interval_ms: float, service_ms: float, most: int, states: int = 400) -> float:
    """The mean wait in M/D(1,b)/1, from the chain of how many wait when a service ends (Bailey, 'On queueing
    processes with bulk service', 1954) and Little's law."""
    mean = service_ms / interval_ms
    arrive = np.array([np.exp(-mean + n * np.log(mean) - math.lgamma(n + 1)) for n in range(states)])
    left = np.maximum(np.arange(states) - most, 0)  # one that comes to a free server is served at once
    moves = np.zeros((states, states))
    for number, rest in enumerate(left):
        moves[number, rest:] = arrive[: states - rest]
        moves[number, -1] += 1 - moves[number].sum()
    chances = np.full(states, 1 / states)
    for _ in range(5_000):
        chances = chances @ moves
    waiting = chances @ (service_ms * left + service_ms * mean / 2)
    return float(waiting / (service_ms + chances[0] * interval_ms) * interval_ms)


def run_of(*steps: Any, times: KnownTimes, around: Surroundings | None = None, **load: Any) -> Run:
    """Requests that come every 10 ms, from 10 ms on."""
    return simulated(
        spec_of(*steps, **{"mean_interval_ms": 10, "arrivals": "constant", **load}), times, around
    )


def test_a_step_gathers_until_its_timeout() -> None:
    times = KnownTimes(lambda step, rows, request: 1.0 * step)
    placement = {"batch_size": 3, "batch_timeout_ms": 15}
    run = run_of(step("Source"), step("Change"), times=times, placement=placement, videos=4)
    assert at(run, EventKind.TAKEN, 1) == [10, 20, 30, 40]
    # Two within 15 ms of the first; the last one waits for nobody, as the stream has ended.
    assert at(run, EventKind.STARTED, 1) == [25, 25, 40, 40]


def test_a_full_batch_waits_no_longer() -> None:
    times = KnownTimes(lambda step, rows, request: 1.0 * step)
    placement = {"batch_size": 2, "batch_timeout_ms": 1000}
    run = run_of(step("Source"), step("Change"), times=times, placement=placement, videos=4)
    assert at(run, EventKind.STARTED, 1) == [20, 20, 40, 40]


def test_clips_are_gathered_as_long_as_the_largest_message_fits() -> None:
    times = KnownTimes(lambda step, rows, request: rows * step, lambda request: [2, 2, 3, 6][request])
    run = run_of(step("Source"), step("Change", max_clips=10), times=times, mean_interval_ms=0, videos=4)
    # 2 + 2 leave room for 6, but 2 + 2 + 3 do not.
    assert at(run, EventKind.FINISHED, 1) == [7, 7, 7, 13]


def test_a_replica_without_a_slot_waits() -> None:
    times = KnownTimes(lambda step, rows, request: [1.0, 5.0][step])
    run = run_of(
        step("Source", num_shared_tensors=1), step("Change"), times=times, mean_interval_ms=0, videos=4
    )
    assert at(run, EventKind.FINISHED) == [1, 2, 7, 12]
    assert at(run, EventKind.HAS_SLOT) == [1, 6, 11, 16]
    assert at(run, EventKind.FINISHED, 1) == [6, 11, 16, 21]


def test_a_step_that_writes_in_place_waits_before_its_call() -> None:
    times = KnownTimes(lambda step, rows, request: [1.0, 5.0][step])
    run = run_of(
        step("SourceInPlace", num_shared_tensors=1), step("Change"), times=times, mean_interval_ms=0, videos=3
    )
    assert at(run, EventKind.WAITS_FOR_SLOT) == [0, 1, 7]
    assert at(run, EventKind.STARTED) == [0, 6, 12]


def test_segments_go_to_several_replicas_and_are_joined() -> None:
    times = KnownTimes(lambda step, rows, request: [1.0, float(rows), 0.5][step], lambda request: 5)
    run = run_of(
        step("Source", num_segments=2),
        step("ChangeOne", replicas=2),
        step("Join"),
        times=times,
        videos=2,
    )
    assert at(run, EventKind.FINISHED, 1, 0) == [14, 24]  # three of the five rows
    assert at(run, EventKind.FINISHED, 1, 1) == [13, 23]
    assert at(run, EventKind.FINISHED, 2) == [14.5, 24.5]
    assert run.requests["replica1-1"].tolist() == [1, 0]  # who waits longest
    assert run.requests["num_clips"].tolist() == [5, 5]


def test_a_batcher_holds_back_until_it_is_full_or_its_timeout() -> None:
    times = KnownTimes(lambda step, rows, request: 0.0)
    batcher = {"model": BATCHER, "gpus": [0], "batch": 2}
    run = run_of(
        step("Source"), batcher, step("Change"), times=times, placement={"batch_timeout_ms": 12}, videos=3
    )
    assert at(run, EventKind.FINISHED, 1) == [20, 20, 30]  # the last one when the stream ends
    alone = run_of(
        step("Source"), batcher, step("Change"), times=times, placement={"batch_timeout_ms": 4}, videos=3
    )
    assert at(alone, EventKind.FINISHED, 1) == [14, 24, 30]


def test_selectors_choose_among_queues() -> None:
    times = KnownTimes(lambda step, rows, request: 1.0, lambda request: 9 if request == 1 else 2)
    selector = "rnb.pipeline.selectors.ClipCountSelector"
    source = {
        "model": "tests.support.timed_steps.Source",
        "queue_groups": [{"gpus": [0], "out_queues": [0, 1], "queue_selector": selector}],
    }
    change = {
        "model": "tests.support.timed_steps.Change",
        "queue_groups": [{"gpus": [0], "in_queue": 0}, {"gpus": [1], "in_queue": 1}],
    }
    run = run_of(source, change, times=times, videos=3)
    assert run.requests["replica1"].tolist() == [0, 1, 0]


def to_one_of_two() -> list[dict[str, Any]]:
    """Small requests to queue 0, large ones to queue 1; one replica reads both, large ones first."""
    selector = "rnb.pipeline.selectors.ClipCountSelector"
    source = {"gpus": [0], "out_queues": [0, 1], "queue_selector": selector}
    reader = {"gpus": [0], "in_queue": [1, 0]}
    return [
        {"model": NOTHING, "queue_groups": [source]},
        {"model": "tests.support.timed_steps.Change", "queue_groups": [reader]},
    ]


def test_a_replica_takes_from_the_first_of_its_queues() -> None:
    times = KnownTimes(lambda step, rows, request: [1.0, 10.0][step], lambda request: [2, 2, 2, 9][request])
    run = run_of(*to_one_of_two(), times=times, mean_interval_ms=0, videos=4)
    # It waits on the queue of large ones, and looks at the other one each 2 ms.
    assert at(run, EventKind.STARTED, 1) == [2, 22, 32, 12]


def test_a_batch_is_gathered_from_several_queues() -> None:
    times = KnownTimes(lambda step, rows, request: [1.0, 10.0][step], lambda request: [2, 2, 9, 2][request])
    run = run_of(*to_one_of_two(), times=times, placement={"batch_size": 3}, mean_interval_ms=0, videos=4)
    assert at(run, EventKind.FINISHED, 1) == [13, 13, 13, 23]


def test_who_reads_but_one_queue_takes_from_it_before_who_only_looks_at_it() -> None:
    times = KnownTimes(lambda step, rows, request: 4.0, lambda request: 9 if request == 1 else 2)
    (source, _) = to_one_of_two()
    groups = [{"gpus": [0], "in_queue": [1, 0]}, {"gpus": [0], "in_queue": 0}]
    change = {"model": "tests.support.timed_steps.Change", "queue_groups": groups}
    run = run_of(source, change, times=times, videos=4)
    assert run.requests["replica1"].tolist() == [1, 0, 1, 1]


def test_when_the_first_queue_has_ended_it_waits_on_the_next() -> None:
    times = KnownTimes(lambda step, rows, request: 25.0 * request if step == 0 else 1.0)
    writers = [{"gpus": [0], "out_queues": [queue]} for queue in (0, 1)]
    source = {"model": NOTHING, "queue_groups": writers}
    change = {"model": NOTHING, "queue_groups": [{"gpus": [0], "in_queue": [0, 1]}]}
    run = run_of(source, change, times=times, mean_interval_ms=0, videos=2)
    assert at(run, EventKind.STARTED, 1) == [0, 25]


def test_each_class_waits_as_theory_says_where_one_goes_first() -> None:
    """Cobham, 'Priority assignment in waiting line problems' (1954), without preemption."""
    count, service_ms, interval_ms, share = 30_000, 4_000.0, 5_000.0, 0.3
    is_large = (np.random.default_rng(6).random(count) < share).tolist()
    times = KnownTimes(
        lambda step, rows, request: service_ms * step, lambda request: 9 if is_large[request] else 2
    )
    run = simulated(spec_of(*to_one_of_two(), mean_interval_ms=interval_ms, videos=count, seed=4), times)
    load = service_ms / interval_ms
    residual_ms = load * service_ms / 2
    first_ms = residual_ms / (1 - share * load)
    waited_ms = (run.times[Event(EventKind.STARTED, 1)] - run.times[DUE]) / 1e6
    assert waited_ms[is_large].mean() == pytest.approx(first_ms, rel=0.03)
    rest_ms = first_ms / (1 - load)
    assert waited_ms[np.logical_not(is_large)].mean() == pytest.approx(rest_ms, rel=0.05)


def test_a_full_queue_ends_the_run() -> None:
    times = KnownTimes(lambda step, rows, request: 25.0)
    run = run_of(step(), times=times, placement={"queue_size": 2}, videos=20)
    assert not run.meta.is_success
    assert run.meta.full_queue == "filename queue"
    assert run.requests["status"].tolist().count("refused") == 1
    assert run.finished.sum() < 8


def test_the_costs_of_the_harness() -> None:
    costs = Costs(wake=Samples([1e5]), prepare=Samples([2e5]), hand_on=Samples([3e5]), rest=Samples([4e5]))
    around = Surroundings(costs={0: costs}, lateness_ns=50_000)
    run = run_of(step(), step(), times=KnownTimes(lambda *_: 12.0), around=around, videos=2)
    assert at(run, EventKind.TAKEN) == [10.15, 23.05]
    assert at(run, EventKind.STARTED) == [10.35, 23.25]
    assert at(run, EventKind.FINISHED) == [22.35, 35.25]
    assert at(run, EventKind.HANDED_ON) == [22.65, 35.55]


def test_a_request_that_is_taken_late_is_not_prepared_late_for_that() -> None:
    costs = Costs(wake=Samples([0, 1e6]), prepare=Samples([0, 1e6]))
    around = Surroundings(costs={0: costs})
    run = run_of(step(), times=KnownTimes(lambda *_: 1.0), around=around, videos=400)
    taken, started = (np.array(at(run, kind)) for kind in (EventKind.TAKEN, EventKind.STARTED))
    wakes, prepares = taken - 10 * np.arange(1, 401), started - taken
    pairs = list(zip(wakes.round(3).tolist(), prepares.round(3).tolist(), strict=True))
    counts = [pairs.count((wake, prepare)) for wake in (0.0, 1.0) for prepare in (0.0, 1.0)]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_who_has_done_its_work_takes_a_message_before_who_is_still_waking_up() -> None:
    """Each needs 15 ms to wake up: the first is done at 33 ms, when the second is still not awake."""
    around = Surroundings(costs={0: Costs(wake=Samples([15e6]))})
    run = run_of(step(replicas=2), times=KnownTimes(lambda *_: 8.0), around=around, videos=5)
    assert at(run, EventKind.TAKEN)[:4] == [25, 33, 35, 41]
    assert run.requests["replica0"].tolist()[:4] == [0, 0, 1, 0]


def test_who_waited_for_a_slot_wakes_up_late_and_copies_into_it_then() -> None:
    times = KnownTimes(lambda step, rows, request: [1.0, 5.0][step])
    costs = Costs(wake=Samples([1e5]), hand_on=Samples([3e5]))
    around = Surroundings(costs={0: costs})
    steps = step("Source", num_shared_tensors=1), step("Change")
    run = run_of(*steps, times=times, around=around, mean_interval_ms=0, videos=2)
    assert at(run, EventKind.FINISHED, 1) == [6.4, 11.8]
    assert at(run, EventKind.HAS_SLOT) == [1.1, 6.5]  # it is free at 6.4
    assert at(run, EventKind.HANDED_ON) == [1.4, 6.8]


def test_calls_that_share_a_resource_slow_each_other_down() -> None:
    around = Surroundings(capacity={"cpu": 2.0}, demand={(0, False): 1.5})
    run = run_of(step(replicas=2), times=KnownTimes(lambda *_: 15.0), around=around, videos=2)
    # Alone for 10 ms; then 3 cores' worth on 2, so half as slow again: 5 ms of work take 7.5 ms.
    assert at(run, EventKind.FINISHED) == [27.5, 37.5]


def test_workers_of_a_replica_share_its_lock_and_replicas_do_not() -> None:
    around, times = Surroundings(lock={(0, False): 0.5}), KnownTimes(lambda *_: 10.0)

    def ends(**places: Any) -> list[float]:
        run = run_of({**step(), **places}, times=times, around=around, mean_interval_ms=0, videos=4)
        return at(run, EventKind.FINISHED)

    # Four that hold it for half of their time take twice as long; two fit.
    assert ends(workers=4) == [20] * 4
    assert ends(workers=2) == [10, 10, 20, 20]
    assert ends(gpus=[0] * 4) == [10] * 4


def test_a_call_that_begins_while_cores_are_in_use_takes_longer() -> None:
    around = Surroundings(capacity={"cpu": 4.0}, crowding={(0, False): 0.4})
    run = run_of(
        step(replicas=2), times=KnownTimes(lambda *_: 10.0), around=around, mean_interval_ms=0, videos=2
    )
    assert at(run, EventKind.FINISHED) == [10, 11]  # one of four is in use when the second begins


def test_it_is_a_run_that_says_that_it_is_simulated(tmp_path: Path) -> None:
    run = run_of(step("Source"), step("Change"), times=KnownTimes(lambda *_: 4.0), videos=50)
    write(run, tmp_path)
    kept = read(tmp_path)
    assert kept.meta.is_simulated
    assert "simulated" in kept.meta.notes[0]
    summary = summarize(kept)
    assert summary.end_to_end.mean_ms == pytest.approx(8)
    assert [entry.busy for entry in summary.utilizations] == pytest.approx([0.4, 0.4], rel=0.05)


def test_a_step_with_rules_of_its_own_is_refused() -> None:
    with pytest.raises(UsageError, match="HoldsOn cannot be simulated"):
        run_of(step("HoldsOn"), times=KnownTimes(lambda *_: 1.0))
    with pytest.raises(UsageError, match="sequences cannot be simulated"):
        run_of(step(), times=KnownTimes(lambda *_: 1.0), sequences=2)


def test_readers_and_writers_take_their_turns_at_a_queue() -> None:
    """Four workers wait for four requests at once; each is taken 2 ms after the one before."""
    spec = spec_of({**step(), "workers": 4}, videos=4)
    run = simulated(spec, KnownTimes(lambda *_: 5.0), Surroundings(take_ns=2_000_000))
    assert at(run, EventKind.TAKEN) == [0, 2, 4, 6]
    run = simulated(spec, KnownTimes(lambda *_: 5.0), Surroundings(put_ns=3_000_000))
    assert at(run, EventKind.TAKEN) == [0, 3, 6, 9]


def test_handing_on_waits_for_those_who_write_at_the_same_time() -> None:
    spec = spec_of({**step("ChangeOne"), "workers": 3}, step("ChangeOne", replicas=3), videos=3)
    run = simulated(spec, KnownTimes(lambda *_: 5.0), Surroundings(put_ns=1_000_000))
    # sent 1 ms after each other, so that no two end at once
    assert at(run, EventKind.HANDED_ON) == [5, 6, 7]
    faster = KnownTimes(lambda step, rows, request: 5.0 - request)
    run = simulated(spec, faster, Surroundings(put_ns=1_000_000))
    assert sorted(at(run, EventKind.HANDED_ON)) == [5, 6, 7]
