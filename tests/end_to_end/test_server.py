"""Loads that are played to a server: over both protocols, with errors, drops and a server that ends."""

from __future__ import annotations

import json
import signal
from collections import Counter

import numpy as np
import pytest

from rnb.analysis.pairing import pair
from rnb.campaigns.peak_search import PASSES
from rnb.contract.events import DUE, SENT
from rnb.load.sequences import Sequences
from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, Bench, Finished
from tests.support.tiny_server import TinyServer, tiny_server

pytest.importorskip("tritonclient.grpc", reason="needs the extra 'serve'")
PROTOCOLS = ("http", "grpc")
NUM_REQUESTS = 200


def played(bench: Bench, server: TinyServer, protocol: str, model: str, *flags: str) -> Finished:
    return bench.call_with("--url", server.url(protocol), "--model", model, *flags)


def run_of(finished: Finished) -> Run:
    assert finished.folder is not None, finished.err
    return read(finished.folder)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_request_comes_once_and_its_answer_is_kept(bench: Bench, protocol: str) -> None:
    texts = ["a face", "two faces", 600_000 * "no"]  # one fits into no window that HTTP/2 begins with
    for number, text in enumerate(texts):
        (bench.videos / f"{number}.mp4").write_text(text)
    flags = [
        "-v",
        str(NUM_REQUESTS),
        "-mi",
        "4",
        "--keep-results",
        "--input",
        "FILE=file",
        "--html",
        "--trace",
    ]
    with tiny_server() as server:
        finished = played(bench, server, protocol, "file", *flags)
        log = server.log()
    assert finished.status in ENDED_WELL, finished.err
    assert Counter(one["id"] for one in log) == Counter(map(str, range(NUM_REQUESTS)))
    run = run_of(finished)
    wanted = [f"{len(texts[number % 3])}:{texts[number % 3][:20]}" for number in range(NUM_REQUESTS)]
    assert [run.results[number] for number in range(NUM_REQUESTS)] == [[text] for text in wanted]
    assert run.meta.server is not None
    assert (run.meta.server.url, run.meta.server.model) == (server.url(protocol), "file")
    assert (run.meta.server.name, run.meta.server.version) == ("tiny", "1.0")
    assert "statistics" in run.meta.server.extensions
    assert run.args["url"] == server.url(protocol)
    for before, after in zip(run.events, run.events[1:], strict=False):
        assert (run.times[before] <= run.times[after]).all(), (before, after)
    assert run.folder is not None
    (row,) = json.loads((run.folder / "summary.json").read_text())["server_steps"]
    assert (row["model"], row["requests"], row["queue_ms"]) == ("file", NUM_REQUESTS, 2.0)
    assert "the server's own means" in finished.out
    assert "own figures</h2>" in (run.folder / "report.html").read_text()
    assert (run.folder / "trace.json.gz").is_file()


def test_the_load_is_that_of_a_pipeline_and_does_not_wait_for_answers(bench: Bench) -> None:
    with tiny_server("--delay-ms", "20", "--instances", "1", has_grpc=False) as server:
        finished = played(bench, server, "http", "numbers", "-v", "80", "-mi", "5", "--clients", "2")
        again = played(bench, server, "http", "numbers", "--replay", str(finished.folder))
    first, second = run_of(finished), run_of(again)
    assert first.requests["arrival_ns"].tolist() == second.requests["arrival_ns"].tolist()
    for run in (first, second):
        # The answers take 80 * 20 ms, the schedule 400 ms: a client that waited would send far later.
        assert run.latency_ms.max() > 800
        assert np.median(run.times[SENT] - run.times[DUE]) < 200e6


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_requests_of_a_sequence_come_in_order(bench: Bench, protocol: str) -> None:
    flags = ["-v", "60", "-mi", "1", "--sequences", "4", "--sequence-length", "5"]
    with tiny_server("--delay-ms", "3") as server:
        finished = played(bench, server, protocol, "numbers", *flags)
        log = server.log()
    assert finished.status in ENDED_WELL, finished.err
    sequences = Sequences(num_at_once=4, length=5, num_requests=60)
    seen: dict[int, list[int]] = {}
    for one in log:
        number, told = int(one["id"]), one["parameters"]
        point = sequences.point_of(number)
        assert (int(told["sequence_id"]), told["sequence_start"], told["sequence_end"]) == (
            int(str(point.id)) + 1,
            point.is_start,
            point.is_end,
        )
        seen.setdefault(int(told["sequence_id"]), []).append(number)
    assert sum(map(len, seen.values())) == 60
    assert all(numbers == sorted(numbers) for numbers in seen.values())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_failure_is_its_requests_own_and_has_its_reason(bench: Bench, protocol: str) -> None:
    flags = ["-v", str(NUM_REQUESTS), "-mi", "2", "--timeout", "1500"]
    asked = ["--fail-every", "7", "--refuse-every", "5", "--drop-every", "11", "--hang-every", "13"]
    with tiny_server(*asked) as server:
        finished = played(bench, server, protocol, "numbers", *flags)
    run = run_of(finished)
    counts = Counter(run.requests["reason"][~run.ended_as("finished")].tolist())
    numbers = np.arange(1, NUM_REQUESTS + 1)
    drops = numbers % 11 == 0
    refusals = ~drops & (numbers % 5 == 0)
    failures = ~drops & ~refusals & (numbers % 7 == 0)
    hangs = ~drops & ~refusals & ~failures & (numbers % 13 == 0)
    ends = {
        "http": (
            "refused by the server: 503 Problem: queue full",
            "500 Problem: broken on purpose",
            "the connection was closed before an answer",
        ),
        "grpc": (
            "refused by the server: UNAVAILABLE: queue full",
            "INTERNAL: broken on purpose",
            "ABORTED: dropped",
        ),
    }
    refused, failed, dropped = ends[protocol]
    late = "no answer within 1500 ms (--timeout)"
    wanted = {refused: refusals, failed: failures, dropped: drops, late: hangs}
    assert counts == {reason: np.count_nonzero(which) for reason, which in wanted.items()}
    assert np.count_nonzero(run.ended_as("refused")) == np.count_nonzero(refusals)
    assert finished.status == 1
    num_failed = sum(counts.values())
    assert f"{num_failed} of {NUM_REQUESTS} requests failed, more than --max-failures 0" in finished.err
    assert f"{counts[refused]} x {refused}" in finished.out


def test_a_run_may_have_some_failures(bench: Bench) -> None:
    with tiny_server("--fail-every", "50", has_grpc=False) as server:
        finished = played(bench, server, "http", "numbers", "-v", "100", "-mi", "1", "--max-failures", "2")
    assert finished.status in ENDED_WELL, finished.err
    assert np.count_nonzero(run_of(finished).ended_as("failed")) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_vanishes_ends_the_run_in_a_line(bench: Bench, protocol: str) -> None:
    with tiny_server() as server:
        flags = ["--model", "numbers", "-v", "100000", "-mi", "5", "--max-failures", "100000"]
        running = bench.start_with("--url", server.url(protocol), *flags)
        running.wait_for_line("START!")
        server.process.send_signal(signal.SIGKILL)
        finished = running.finish(timeout_s=60)
    assert finished.status == 1
    lines = finished.err.strip().splitlines()
    assert len(lines) == 1, finished.err
    assert f"client failed: {server.url(protocol)} cannot be reached for 5 s:" in lines[0]


def test_two_runs_to_servers_are_compared(bench: Bench) -> None:
    flags = ["-v", "100", "-mi", "2", "--keep-results"]
    with tiny_server() as server, tiny_server("--offset", "1", has_grpc=False) as other:
        runs = [
            run_of(played(bench, to, protocol, "numbers", *flags))
            for to, protocol in ((server, "http"), (server, "grpc"), (other, "http"))
        ]
    for run, num_agreeing in zip(runs[1:], (100, 0), strict=True):
        pairs = pair(runs[0], run).overlap
        assert (pairs.num_compared, pairs.num_agreeing) == (100, num_agreeing)


def test_the_peak_of_a_server_is_searched(bench: Bench) -> None:
    asked = ["--find-peak", "--slo", "50", "--percentile", "50", "-v", "100", "-mi", "4"]
    with tiny_server("--delay-ms", "2", "--instances", "1", has_grpc=False) as server:
        finished = played(bench, server, "http", "numbers", *asked, "--timeout", "1000")
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    peak = json.loads((finished.folder / "peak.json").read_text())
    assert not peak["problem"]
    assert peak["probes"]
    # A request takes 2 ms, one after the other: 500 requests/s are the most that can be.
    assert all(probe["rate_per_s"] < 1000 for probe in peak["probes"] if probe["verdict"] == PASSES)
