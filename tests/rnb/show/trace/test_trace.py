"""The trace of a run, by a strict reader of the format and by Perfetto's own trace processor."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rnb.contract.events import DUE, Event, EventKind
from rnb.record.run import Run
from rnb.show.trace import trace as perfetto_trace
from tests.support import trace_processor
from tests.support.run_over_nodes import run_over
from tests.support.sample_runs import START_NS
from tests.support.simulated_runs import simulate
from tests.support.trace_json import Trace
from tests.support.trace_processor import Queries

NUM_REQUESTS, NUM_WARMUP = 300, 30
LOADER, NETWORKS = 100, (110, 111)
"""Processes of the simulated run."""

needs_perfetto = pytest.mark.skipif(bool(trace_processor.missing()), reason=trace_processor.missing() or "-")


@pytest.fixture(scope="module")
def run() -> Run:
    """A run with a warm-up, in which request 40 failed at the second step and request 299 was never sent."""
    run = simulate(num_requests=NUM_REQUESTS)
    run.requests["is_warmup"][:NUM_WARMUP] = True
    run.requests["status"][[40, 299]] = ["failed", "refused"]
    run.requests["reason"][40] = 'a "bad" video \udcff'  # a name that is no UTF-8
    run.times[Event(EventKind.FINISHED, 1)][40] = 0
    for event in run.events[1:]:
        run.times[event][299] = 0
    return run


@pytest.fixture(scope="module")
def path(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / perfetto_trace.FILE_NAME
    perfetto_trace.write(run, path)
    return path


@pytest.fixture(scope="module")
def trace(path: Path) -> Trace:
    return Trace(path)


@pytest.fixture(scope="module")
def query(path: Path) -> Iterator[Queries]:
    with trace_processor.open_trace(path) as queries:
        yield queries


def test_the_calls_of_each_worker_are_on_its_track(run: Run, trace: Trace) -> None:
    calls = [event for event in trace.slices[LOADER, 1] if event["name"] == "step 0 Loader"]
    assert [event["args"]["requests"] for event in calls] == [str(request) for request in range(299)]
    start_ns, finish_ns = (
        run.times[Event(EventKind.STARTED, 0)][:299],
        run.times[Event(EventKind.FINISHED, 0)][:299],
    )
    assert [1000 * event["ts"] for event in calls] == (start_ns - START_NS).tolist()
    assert [1000 * event["dur"] for event in calls] == (finish_ns - start_ns).tolist()
    assert [event["args"]["warm_up"] for event in calls] == [1] * NUM_WARMUP + [0] * (299 - NUM_WARMUP)


def test_a_worker_waits_for_a_slot(run: Run, trace: Trace) -> None:
    waited_ns = (
        run.times[Event(EventKind.STARTED, 0)][:299] - run.times[Event(EventKind.WAITS_FOR_SLOT, 0)][:299]
    )
    waits = [event for event in trace.slices[LOADER, 1] if event["name"] == "wait for a slot"]
    assert [1000 * event["dur"] for event in waits] == waited_ns[waited_ns > 0].tolist()


def test_handing_on_beside_the_next_call_has_a_track_of_its_own(run: Run, trace: Trace) -> None:
    done_ns, put_ns = (
        run.times[Event(EventKind.FINISHED, 0)][:299],
        run.times[Event(EventKind.HANDED_ON, 0)][:299],
    )
    assert (put_ns[:-1] > run.times[Event(EventKind.STARTED, 0)][1:299]).any()
    tracks = {track: name for track, name in trace.names("thread_name").items() if "delivery" in name}
    assert tracks[LOADER, 51] == "worker 0 delivery"
    deliveries = [event for track in tracks for event in trace.slices[track]]
    assert {event["name"] for event in deliveries} == {"hand-off"}
    assert sorted(1000 * event["dur"] for event in deliveries) == sorted(put_ns - done_ns)


def test_processes_and_tracks_are_named(trace: Trace) -> None:
    names = trace.names("process_name")
    assert names[LOADER] == "step 0.0 Loader, GPU 0"
    assert [names[pid] for pid in NETWORKS] == ["step 1.0 Network, GPU 0", "step 1.1 Network, GPU 0"]
    assert {"run", "client", "driver", "CPU", "GPU 0"} < set(names.values())
    assert trace.names("thread_name")[LOADER, 1] == "worker 0"


def test_the_processes_of_a_node_stand_together(tmp_path: Path) -> None:
    path = tmp_path / perfetto_trace.FILE_NAME
    run = run_over(5, 7)
    perfetto_trace.write(run, path)
    trace = Trace(path)
    names = trace.names("process_name")
    in_order = [names[pid] for pid in sorted(names)]
    of_node_1 = ["node 1 (host1, times known to 5 us): " + name for name in ("CPU", "step 1.1 Classify, CPU")]
    assert [name for name in in_order if name in of_node_1] == of_node_1
    nodes = [name.split(" (")[0] for name in in_order if name.startswith("node ")]
    assert nodes == sorted(nodes)
    assert "node 0 (host0): step 0.0 Load, CPU" in in_order
    assert "node 2 (host2, times known to 7 us): step 1.2 Classify, CPU" in in_order
    (pid,) = [pid for pid, name in names.items() if name == of_node_1[0]]
    assert {value for _, value in trace.counter("use", pid)} == {25.0}


def test_each_request_is_a_span_with_its_stages_inside(run: Run, trace: Trace) -> None:
    request, *stages = trace.spans[1, "span", "7"]
    assert (request["name"], request["depth"]) == ("request (warm-up)", 0)
    assert 1000 * (request["end"] - request["ts"]) == run.ends_ns[7] - run.times[DUE][7]
    assert [stage["name"] for stage in stages] == [
        "lateness of the client",
        "wait for step 0",
        "gather for step 0",
        "slot for step 0",
        "step 0 Loader",
        "hand-off after step 0",
        "wait for step 1",
        "gather for step 1",
        "step 1 Network",
    ]
    assert all(stage["depth"] >= 1 for stage in stages)
    assert all(before["end"] == after["ts"] for before, after in itertools.pairwise(stages))
    assert trace.spans[1, "span", "30"][0]["name"] == "request"


def test_a_request_that_failed_ends_where_it_was(trace: Trace) -> None:
    request, *stages = trace.spans[1, "span", "40"]
    assert (request["args"]["status"], request["args"]["reason"]) == ("failed", 'a "bad" video \\udcff')
    assert stages[-1]["name"] == "gather for step 1"
    assert [event["name"] for event in trace.spans[1, "span", "299"]] == ["request"]


def test_arrows_lead_from_the_client_through_the_steps(trace: Trace) -> None:
    names = [(start["name"], end["name"]) for start, end in trace.arrows]
    assert names.count(("send", "step 0 Loader")) == 299
    assert names.count(("step 0 Loader", "step 1 Network")) == 298
    assert len(names) == 299 + 298
    for start, end in trace.arrows:
        request = start["args"].get("requests", str(start["args"].get("request")))
        assert end["args"]["requests"] == request
        assert start["ts"] <= end["ts"]


def test_any_table_over_time_is_a_counter(tmp_path: Path) -> None:
    run = simulate(num_requests=20)
    run.tables["disk"] = {
        "time_ns": START_NS + np.array([1_000, 2_000]),
        "read_bytes": np.array([5, 7]),
        "gpu0.stolen_percent": np.array([1.5, 2.5]),
        "state": np.array(["idle", "busy"], dtype=object),
    }
    run.tables["no_times"] = {"value": np.array([1])}
    perfetto_trace.write(run, tmp_path / "trace.json.gz")
    trace = Trace(tmp_path / "trace.json.gz")
    assert [(float(at_us), value) for at_us, value in trace.counter("read")] == [(1.0, 5.0), (2.0, 7.0)]
    assert [value for _, value in trace.counter("stolen", pid=5)] == [1.5, 2.5]
    assert not trace.counter("state")


def test_counters_tell_who_waits_and_what_the_machine_did(run: Run, trace: Trace) -> None:
    depth = trace.counter("waiting for step 1")
    put, taken = run.times[Event(EventKind.HANDED_ON, 0)], run.times[Event(EventKind.TAKEN, 1)]
    at_ns = int(np.median(taken))
    expected = np.count_nonzero(put[put > 0] <= at_ns) - np.count_nonzero(taken[taken > 0] <= at_ns)
    shown = [value for time_us, value in depth if 1000 * time_us <= at_ns - START_NS]
    assert shown[-1] == expected
    assert depth[-1][1] == 0
    assert run.tables
    gpu = trace.counter("sm", pid=5)
    assert gpu[0][1] == pytest.approx(run.tables["telemetry"]["gpu0.sm_percent"][0])
    assert trace.counter("use", pid=4)
    assert trace.counter("cpu", pid=LOADER)


def test_the_phases_are_marked(run: Run, trace: Trace) -> None:
    warm_up, measured = trace.slices[1, 1]
    assert (warm_up["name"], measured["name"]) == ("warm-up", "measured")
    assert 1000 * measured["ts"] == run.times[DUE][NUM_WARMUP] - START_NS


def test_of_too_many_requests_the_first_and_the_slowest_are_shown(tmp_path: Path) -> None:
    run = simulate(num_requests=NUM_REQUESTS)
    line = perfetto_trace.write(run, tmp_path / "trace.json.gz", most_requests=51)
    assert "51 of 300 requests, the first 25 and the 26 slowest of the others" in line
    trace = Trace(tmp_path / "trace.json.gz")
    assert trace.other_data["shows"] in line
    latencies_ns = run.ends_ns - run.times[DUE]
    slowest = 25 + np.argsort(-latencies_ns[25:])[:26]
    expected = {str(request) for request in (*range(25), *slowest)}
    assert {id for _, _, id in trace.spans} == expected
    assert {event["args"]["requests"] for event in trace.slices[LOADER, 1] if "args" in event} == expected
    assert max(value for _, value in trace.counter("waiting for step 0")) > 1, "depths count all requests"


def test_a_trace_that_cannot_be_written_leaves_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "trace.json.gz").mkdir()
    with pytest.raises(OSError, match=r"trace\.json\.gz"):
        perfetto_trace.write(run, tmp_path / "trace.json.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json.gz"]


@needs_perfetto
def test_perfetto_drops_nothing(query: Queries) -> None:
    assert query("select name, value from stats where severity != 'info' and value > 0") == []


@needs_perfetto
def test_perfetto_finds_the_slices_of_each_worker(query: Queries) -> None:
    rows = query(
        "select process.pid, thread.name as track, slice.name, count(*) from slice"
        " join thread_track on slice.track_id = thread_track.id join thread using (utid)"
        " join process using (upid) where slice.name glob 'step*' group by 1, 2, 3 order by 1"
    )
    networks = [(pid, "worker 0", "step 1 Network") for pid in NETWORKS]
    assert [row[:3] for row in rows] == [(LOADER, "worker 0", "step 0 Loader"), *networks]
    assert rows[0][3] == 299
    assert rows[1][3] + rows[2][3] == 298


@needs_perfetto
def test_perfetto_connects_the_arrows(query: Queries) -> None:
    rows = query(
        "select a.name as start, b.name as end, count(*) from flow join slice a on slice_out = a.id"
        " join slice b on slice_in = b.id group by 1, 2 order by 1"
    )
    assert rows == [("send", "step 0 Loader", 299), ("step 0 Loader", "step 1 Network", 298)]


@needs_perfetto
def test_perfetto_nests_the_stages_in_the_requests(run: Run, query: Queries) -> None:
    requests = query(
        "select name, count(*), sum(dur) from slice where name glob 'request*' group by 1 order by 1"
    )
    latencies_ns = run.ends_ns - run.times[DUE]
    latencies_ns[299] = 0
    assert requests == [
        ("request", NUM_REQUESTS - NUM_WARMUP, latencies_ns[NUM_WARMUP:].sum()),
        ("request (warm-up)", NUM_WARMUP, latencies_ns[:NUM_WARMUP].sum()),
    ]
    stages = query(
        "select count(*), sum(a.ts < b.ts or a.ts + a.dur > b.ts + b.dur) from slice a"
        " join slice b on a.parent_id = b.id where b.name glob 'request*'"
    )
    assert stages == [(299 * 9 - 1, 0)]


@needs_perfetto
def test_perfetto_reads_the_counters(run: Run, query: Queries) -> None:
    [(most,)] = query(
        "select max(value) from counter join process_counter_track track on track_id = track.id"
        " where track.name = 'waiting for step 0 requests'"
    )
    assert most > 1
    assert run.tables
    [(temperature,)] = query(
        "select max(value) from counter join process_counter_track track on track_id = track.id"
        " join process using (upid) where track.name = 'temperature °C' and process.name = 'GPU 0'"
    )
    assert temperature == pytest.approx(run.tables["telemetry"]["gpu0.temperature_c"].max())
