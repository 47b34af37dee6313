"""Runs over several nodes: the results of one machine, the same endings, and nothing left on any of them.

All nodes are this machine (--cluster local:N): processes, connections and clocks are as on several.
"""

from __future__ import annotations

import re
import signal
import time
from typing import Any

import numpy as np
import pytest

from rnb.analysis.watched_nodes import provenance_of
from rnb.load.sequences import Sequences
from rnb.record.over_nodes import by_node
from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support.leftovers import read as text_of
from tests.support.running import ENDED_WELL, Bench, Finished, Running, grouped, on, tiny
from tests.support.tiny_steps import clips_of, expected_label

NUM_VIDEOS = 203
NOTHING = "models.nothing.model.Nothing"

PLACEMENTS: dict[str, tuple[int, Any, list[str]]] = {
    "each step on both": (
        2,
        [
            tiny("LoadInPlace", gpus=["0:0", "1:0"]),
            tiny("Pass", gpus=["0:0", "1:0"]),
            tiny("Classify", gpus=["1:0", "0:1"]),
        ],
        ["-b", "3"],
    ),
    "there and back, with few slots": (
        2,
        [
            tiny("Load", num_shared_tensors=1),
            tiny("Pass", gpus=["1:0"], num_shared_tensors=1),
            tiny("Classify"),
        ],
        ["-mi", "1"],
    ),
    "large ones to the other node first": (
        2,
        grouped(
            on(
                "Size",
                {
                    "gpus": ["0:0"],
                    "out_queues": [0, 1],
                    "queue_selector": "rnb.pipeline.selectors.ClipCountSelector",
                },
            ),
            on(
                "Load",
                {"gpus": ["1:0"], "in_queue": [1, 0], "out_queues": [0]},
                {"gpus": ["0:0", "1:0"], "in_queue": 0, "out_queues": [0]},
            ),
            on("Classify", {"gpus": ["0:0"], "in_queue": 0}),
        ),
        ["-mi", "1"],
    ),
    "segments over three": (
        3,
        [
            tiny("Load", num_segments=3, gpus=["1:0"]),
            tiny("Classify", gpus=["0:0", "1:0", "2:0"]),
            tiny("Join", aggregate=3, gpus=["2:-1"]),
        ],
        [],
    ),
}


def run_of(finished: Finished) -> Run:
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    return read(finished.folder)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_request_is_served_once_and_right(bench: Bench, placement: str) -> None:
    num_nodes, config, flags = PLACEMENTS[placement]
    given = ["-mi", "0", *flags, "-v", str(NUM_VIDEOS), "--cluster", f"local:{num_nodes}"]
    run = run_of(bench.call(config, *given))
    assert run.requests["status"].tolist() == ["finished"] * NUM_VIDEOS
    assert run.requests["label"].tolist() == [expected_label(request) for request in range(NUM_VIDEOS)]
    assert run.requests["num_clips"].tolist() == [clips_of(request) for request in range(NUM_VIDEOS)]
    assert_times_are_in_order(run)
    assert {replica["node"] for replica in run.meta.replicas} == set(range(num_nodes))
    assert_each_node_was_watched(run)
    used = [run.requests[name] for name in run.requests if name.partition("-")[0] == "replica1"]
    assert set(np.concatenate(used).tolist()) == {
        one["replica"] for one in run.meta.replicas if one["step"] == 1
    }


def assert_each_node_was_watched(run: Run) -> None:
    """With the processes there, until the end."""
    tables = by_node(run.tables["telemetry"])
    assert list(tables) == [node["node"] for node in run.meta.nodes]
    for node, table in tables.items():
        own = [one for one in run.meta.replicas if one["node"] == node]
        steps = {match[1] for name in table if (match := re.match(r"process\.step (\d\.\d)\.cpu", name))}
        assert steps == {f"{one['step']}.{one['replica']}" for one in own}
        assert run.start_ns - 60e9 < table["time_ns"][0] < run.end_ns < table["time_ns"][-1] + 1e9
        assert provenance_of(run.meta, node)["pids"].keys() >= {"agent" if node else "driver"}


def test_rows_cross_by_nixl(bench: Bench) -> None:
    pytest.importorskip("nixl", reason="needs NIXL: pip install 'rnb[nixl]'")
    config = [tiny("Load"), tiny("Pass", gpus=["1:0"], num_shared_tensors=1), tiny("Classify")]
    run = run_of(bench.call(config, "-v", "60", "-mi", "1", "--carrier", "nixl", "--cluster", "local:2"))
    assert run.requests["label"].tolist() == [expected_label(request) for request in range(60)]
    assert run.meta.args["carrier"] == "nixl"


def assert_times_are_in_order(run: Run) -> None:
    """Of each request, to within what the clocks may be off."""
    whole = [event for event in run.events if not event.segment]
    times = np.stack([run.times[event] for event in whole], axis=1)
    bounds = [node["clock"]["bound_ns"] for node in run.meta.nodes if node["clock"]]
    assert (times > 0).all()
    assert (np.diff(times, axis=1)[:, 1:] >= -2 * max(bounds)).all()


def test_requests_of_a_sequence_stay_together(bench: Bench) -> None:
    steps = "tests.support.sequence_steps"
    config = [
        tiny("TakesAnything", gpus=["0:0"]),
        {"model": f"{steps}.Positions", "gpus": ["0:0", "1:0", "1:0"]},
    ]
    flags = ["--sequences", "6", "--sequence-length", "5", "-v", "90", "-mi", "1", "--cluster", "local:2"]
    run = run_of(bench.call(config, *flags))
    sequences = Sequences(num_at_once=6, length=5, num_requests=90)
    for request_id in range(90):
        point = sequences.point_of(request_id)
        assert point.position is not None
        assert run.results[request_id]["seen"] == list(range(point.position + 1))
    assert set(run.requests["replica1"].tolist()) == {0, 1, 2}


def test_frames_that_come_too_late_to_a_node_are_dropped(bench: Bench) -> None:
    step = {"model": "tests.support.sequence_steps.FrameNumbers", "gpus": ["1:-1"]}
    flags = ["--streams", "4", "--fps", "50", "--max-lateness", "100", "-v", "200", "-qs", "300"]
    run = run_of(bench.call([{**step, "busy_ms": 20}], *flags, "--cluster", "local:2"))
    is_dropped, is_finished = run.ended_as("dropped"), run.ended_as("finished")
    assert (is_dropped | is_finished).all()
    assert is_dropped.sum() > 50, "the step does a quarter of them"
    assert is_finished[4:].any(), "the first and the last of each are served in any case"
    assert is_finished[[*range(4), *range(196, 200)]].all()


def test_a_request_that_fails_on_a_node_says_so(bench: Bench) -> None:
    """Also when its other segments wait on another node for the one that failed."""
    config = [
        tiny("Load", num_segments=3, fail_every=10, gpus=["1:0"]),
        tiny("Classify", gpus=["0:0", "1:0"]),
        tiny("Join", aggregate=3),
    ]
    run = run_of(bench.call(config, "-v", "50", "-mi", "0", "--max-failures", "5", "--cluster", "local:2"))
    failed = np.flatnonzero(run.requests["status"] == "failed")
    assert failed.tolist() == list(range(0, 50, 10))
    assert all(run.requests["reason"][one].startswith("node 1: ") for one in failed)
    assert all("cannot be decoded" in run.requests["reason"][one] for one in failed)


def test_what_replicas_hold_is_told_by_every_node(bench: Bench) -> None:
    config = [{"model": NOTHING, "gpus": ["0:-1"]}, {"model": NOTHING, "gpus": ["0:-1", "1:-1"]}]
    run = run_of(bench.call(config, "-v", "60", "-mi", "2", "--memory", "--cluster", "local:2"))
    table = run.tables["memory"]
    for step in (0, 1):
        for one in np.unique(run.requests[f"replica{step}"]):
            served = set(np.flatnonzero(run.requests[f"replica{step}"] == one).tolist())
            assert set(table["request_id"][table["replica"] == f"step {step}.{one}"].tolist()) == served
    assert (np.diff(table["at_ns"]) >= 0).all()
    assert ((table["at_ns"] >= run.start_ns) & (table["at_ns"] < run.end_ns + 1e9)).all()
    assert (table["held_bytes"] > 1e6).all()


def test_one_node_gives_what_no_cluster_gives(bench: Bench) -> None:
    config = [tiny("LoadInPlace"), tiny("Classify", gpus=["0:0", "0:1"])]
    run = run_of(bench.call(config, "-v", "40", "-mi", "0", "--cluster", "local:3"))
    assert run.requests["label"].tolist() == [expected_label(request) for request in range(40)]
    assert run.meta.nodes == []


# ---------------------------------------------------------------- endings

PIPELINE = [{"model": NOTHING, "gpus": [place]} for place in ("0:-1", "1:-1", "2:-1")]
FLAGS = ("-v", "100000", "-mi", "5", "--cluster", "local:3")
MOST_SECONDS = 30


def started(bench: Bench, *flags: str) -> Running:
    run = bench.start(PIPELINE, *FLAGS, *flags)
    run.wait_for_line("START!")
    return run


def agents(run: Running) -> list[int]:
    """In the order of the nodes."""
    return sorted(pid for pid in run.processes() if "rnb.cluster.agent" in text_of(f"/proc/{pid}/cmdline"))


def assert_failed(finished: Finished, *messages: str) -> None:
    assert finished.status == 1
    assert any(message in finished.err for message in messages), finished.err
    assert finished.seconds_to_end < MOST_SECONDS
    assert finished.folder is not None
    assert (finished.folder / "run.json").exists()


def test_a_process_on_another_node_is_killed(bench: Bench) -> None:
    run = started(bench)
    run.signal(signal.SIGKILL, run.children("rnb step 1")[0])
    assert_failed(run.finish(), "node 1 failed: step 1.0 (pid")


def test_a_process_on_another_node_is_replaced(bench: Bench) -> None:
    """Killed, where it is in the middle of the pipeline, until no other may take its place."""
    run = started(bench, "--restart", "1")
    time.sleep(3)  # the node has to know that the timed part has begun: the start is not covered
    first = run.children("rnb step 1")
    run.signal(signal.SIGKILL, first[0])
    deadline = time.monotonic() + MOST_SECONDS
    while (found := run.children("rnb step 1")) in (first, []):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2)
    run.signal(signal.SIGKILL, found[0])
    finished = run.finish()
    assert_failed(finished, f"node 1 failed: step 1.0 (pid {found[0]}) was killed by SIGKILL")
    assert finished.folder is not None
    kept = read(finished.folder)
    assert kept.meta.jobs is not None
    assert kept.meta.jobs.num_deaths == 2


def test_an_agent_is_killed(bench: Bench) -> None:
    run = started(bench)
    run.signal(signal.SIGKILL, agents(run)[1])
    assert_failed(run.finish(), "node 2 on this machine as node 2 is gone: the connection to it was cut")


def test_an_agent_is_killed_before_the_start(bench: Bench) -> None:
    """Which is not covered by --restart."""
    run = bench.start(PIPELINE, *FLAGS, "--restart", "9")
    deadline = time.monotonic() + MOST_SECONDS
    while len(found := agents(run)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.signal(signal.SIGKILL, found[1])
    finished = run.finish()
    assert finished.status in (1, 2)
    assert "node " in finished.err.strip().splitlines()[-1]
    assert finished.seconds_to_end < MOST_SECONDS


def test_an_agent_is_replaced(bench: Bench) -> None:
    """With all processes of its node; nothing of the old one or of the new one is left."""
    run = bench.start(PIPELINE, "-v", "900", "-mi", "10", "--cluster", "local:3", "--restart", "1")
    run.wait_for_line("START!")
    time.sleep(2)
    run.signal(signal.SIGKILL, agents(run)[1])
    kept = run_of(run.finish())
    assert kept.requests["status"].tolist() == ["finished"] * 900
    assert kept.results == dict.fromkeys(range(900), 0)
    events = kept.tables["events"]
    (died,) = np.flatnonzero(events["event"] == "died")
    assert events["replica"][died] == "node 2"
    (serves,) = np.flatnonzero((events["event"] == "started") & (events["at_ns"] > events["at_ns"][died]))[:1]
    assert events["replica"][serves] == "node 2"
    assert events["at_ns"][serves] - events["at_ns"][died] < MOST_SECONDS * 1e9


def test_the_driver_is_killed_while_a_node_is_replaced(bench: Bench) -> None:
    run = started(bench, "--restart", "1")
    before = agents(run)
    run.signal(signal.SIGKILL, before[1])
    deadline = time.monotonic() + MOST_SECONDS
    while not set(agents(run)) - set(before):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.signal(signal.SIGKILL)
    run.process.wait()
    while run.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    run.finish()  # nothing is left


def test_a_bridge_is_killed(bench: Bench) -> None:
    run = started(bench)
    run.signal(signal.SIGKILL, run.children("rnb bridge to")[0])
    assert_failed(run.finish(), "bridge to node")


def test_a_full_queue_on_another_node(bench: Bench) -> None:
    slow = {"model": "models.queueing.model.Deterministic", "service_ms": 200}
    config = [{"model": NOTHING, "gpus": ["0:-1"]}, {**slow, "gpus": ["1:-1"]}]
    run = bench.call(config, "-v", "1000", "-mi", "2", "-qs", "10", "--cluster", "local:2")
    assert run.status == 1
    assert "is full: the current placement cannot handle the input stream" in run.err


def test_the_driver_is_killed(bench: Bench) -> None:
    run = started(bench)
    assert len(agents(run)) == 2
    run.signal(signal.SIGKILL)
    run.process.wait()
    deadline = time.monotonic() + MOST_SECONDS
    while run.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    run.finish()  # nothing is left


def test_an_interrupt_ends_all_nodes(bench: Bench) -> None:
    run = started(bench)
    run.signal(signal.SIGINT)
    assert_failed(run.finish(), "interrupted")


def test_results_that_a_node_has_sent_on_stay_when_it_dies(bench: Bench) -> None:
    """Those that are no classes, too, which are in a file of their own."""
    run = started(bench)
    time.sleep(4)
    run.signal(signal.SIGKILL, agents(run)[1])
    finished = run.finish()
    assert_failed(finished, "node 2 on this machine as node 2 is gone")
    assert finished.folder is not None
    kept = read(finished.folder)
    done = np.flatnonzero(kept.requests["status"] == "finished")
    assert len(done) > 0
    assert kept.results == dict.fromkeys(done.tolist(), 0)


# ---------------------------------------------------------------- files

FILES = {
    "video_path_iterator": "tests.support.file_steps.OneIsMissing",
    "pipeline": [{"model": "tests.support.file_steps.ReadsFile", "gpus": ["0:-1", "1:-1", "1:-1"]}],
}


@pytest.mark.parametrize("sends", [True, False], ids=["sent along", "of each node"])
def test_files_of_requests_on_other_nodes(bench: Bench, sends: bool) -> None:
    """One that is missing is the failure of its requests, also when they are tried again, with the node."""
    for number in (0, 2):
        (bench.videos / f"{number}.mp4").write_text(f"file {number}" * 50_000)
    flags = ["-v", "60", "-mi", "2", "--max-failures", "20", "--retries", "1", "--cluster", "local:2"]
    run = run_of(bench.call(FILES, *flags, *(["--send-files"] if sends else [])))
    for request, replica in enumerate(run.requests["replica0"].tolist()):
        path = str(bench.videos / ("0.mp4", "missing.mp4", "2.mp4")[request % 3])
        if request % 3 == 1:
            where = f"{'node 1: ' if replica else ''}step 0.{replica}"
            first, last = run.requests["reason"][request].split("; ")
            assert last == f"{where}: {path}: No such file or directory"
            assert first.endswith(f": {path}: No such file or directory")
            continue
        name, content = run.results[request]
        assert content == f"file {request % 3}" * 50_000
        assert name.startswith("/proc/") if sends and replica else name == path
    assert set(run.requests["replica0"].tolist()) == {0, 1, 2}


def test_files_are_not_sent_behind_a_step_that_hands_requests_on(bench: Bench) -> None:
    config = [tiny("Size"), {"model": "tests.support.file_steps.ReadsFile", "gpus": ["1:-1"]}]
    finished = bench.call(config, "--send-files", "--cluster", "local:2")
    assert finished.status == 2
    assert finished.err.strip().splitlines() == [
        "benchmark.py: error: --send-files: Size hands requests on as they came, and files would not go along"
    ]


def test_a_node_that_stands_still_for_a_while_is_left_less_to_do(bench: Bench) -> None:
    """Of what came all at once; two seconds are forty calls."""
    config = [{"model": "tests.support.timed_steps.Size", "gpus": ["0:-1", "1:-1"], "fixed_ms": 50}]
    flags = ["-mi", "0", "-v", "60", "--cluster", "local:2", "--fault", "stall:step0.1*2s@0.2s"]
    run = run_of(bench.call(config, *flags))
    assert run.requests["status"].tolist() == ["finished"] * 60
    assert np.count_nonzero(run.requests["replica0"] == 0) >= 40
