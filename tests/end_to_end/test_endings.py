"""Every run ends, whatever happens to its processes, with the right status and one clear message."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnb.command_line.exit_status import EXIT_INVALID, EXIT_OK
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, Bench, Finished, Running, tiny

SLOW = pytest.mark.slow

PIPELINE = [tiny("LoadInPlace"), tiny("Pass", busy_ms=2), tiny("Classify")]
FLAGS = ("-v", "100000", "-mi", "5")
MOST_SECONDS = 10
MOST_SECONDS_FROM_LAUNCH = 40
"""Where the trouble is part of the pipeline, so that the time counts from the command, start-up included."""


def assert_failed(run: Finished, message: str) -> None:
    assert run.status == 1
    assert message in run.err
    assert run.seconds_to_end < (MOST_SECONDS if run.was_signalled else MOST_SECONDS_FROM_LAUNCH)
    assert run.folder is not None
    assert (run.folder / "log-meta.txt").exists()


def started(bench: Bench, config: Any = PIPELINE, *flags: str) -> Running:
    run = bench.start(config, *(flags or FLAGS))
    run.wait_for_line("START!")
    return run


def test_an_exception_in_a_constructor(bench: Bench) -> None:
    run = bench.run([tiny("Load"), tiny("Misbehave", how="raise")], *FLAGS)
    assert_failed(run, "step 1.0 failed: ArithmeticError: this step fails on purpose")
    assert "Traceback" in run.err
    assert "_misbehave" in run.err


def test_an_exception_in_a_call(bench: Bench) -> None:
    run = bench.call([tiny("Load"), tiny("Misbehave", how="raise", at_request=20)], *FLAGS)
    assert_failed(run, "step 1.0 failed: ArithmeticError: this step fails on purpose")
    assert "20 finished" in run.out  # what finished is still reported


def test_a_call_that_finds_no_gpu_memory(bench: Bench) -> None:
    run = bench.call([tiny("Load"), tiny("Misbehave", how="use up the GPU's memory", at_request=2)], *FLAGS)
    expected = "OutOfGpuMemory: out of GPU memory in a call with inputs (11, 2): asked for 2.00 GiB"
    assert_failed(run, f"step 1.0 failed: {expected}")


def test_an_exception_in_one_of_several_workers(bench: Bench) -> None:
    step = tiny("Misbehave", how="raise", at_request=20, workers=3)
    assert_failed(bench.call([tiny("Load"), step], *FLAGS), "step 1.0 failed: ArithmeticError")


def test_an_exception_in_the_client(bench: Bench) -> None:
    # No message can be as large as this path, so the put fails.
    config = {
        "video_path_iterator": "tests.support.tiny_steps.HugePaths",
        "pipeline": [tiny("Load"), tiny("Classify")],
    }
    assert_failed(
        bench.call(config, "-v", "5", "-qs", "2"), "client failed: ValueError: filename queue: a message of"
    )


@pytest.mark.parametrize("step", [0, 1])
def test_a_runner_is_killed_before_the_start_barrier(bench: Bench, step: int) -> None:
    pipeline = [tiny("Nothing"), tiny("Nothing")]
    pipeline.insert(step, tiny("Misbehave", how="kill"))
    assert_failed(bench.call(pipeline, *FLAGS), f"step {step}.0 (pid ")


@pytest.mark.parametrize(
    "title",
    ["rnb client", *(pytest.param(f"rnb step {step}", marks=SLOW) for step in (0, 2)), "rnb step 1"],
)
def test_a_process_is_killed_in_the_middle(bench: Bench, title: str) -> None:
    run = started(bench)
    run.signal(signal.SIGKILL, run.children(title)[0])
    assert_failed(run.finish(), "was killed by SIGKILL")


@SLOW
def test_the_client_is_killed_before_the_start_barrier(bench: Bench) -> None:
    run = bench.start([tiny("Misbehave", how="hang"), tiny("Nothing")], *FLAGS)
    run.signal(signal.SIGKILL, wait_for_child(run, "rnb client"))
    assert_failed(run.finish(), "client (pid ")


def test_a_runner_is_killed_at_the_end(bench: Bench) -> None:
    # The last request kills the runner that would finish it.
    config = [tiny("Load"), tiny("Misbehave", how="kill", at_request=49)]
    run = bench.call(config, "-v", "50", "-mi", "0")
    assert_failed(run, "step 1.0 (pid ")
    assert "49 finished" in run.out


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=SLOW), signal.SIGTERM])
def test_signals_end_the_run(bench: Bench, number: int) -> None:
    run = started(bench)
    run.signal(number)
    assert_failed(run.finish(), "interrupted")


def test_ctrl_c_reaches_all_processes_of_a_terminal(bench: Bench) -> None:
    run = started(bench)
    for pid in run.children():
        run.signal(signal.SIGINT, pid)
    run.signal(signal.SIGINT)
    finished = run.finish()
    assert_failed(finished, "interrupted")
    assert "Traceback" not in finished.err


def test_ctrl_c_before_the_start_barrier(bench: Bench) -> None:
    run = bench.start([tiny("Misbehave", how="hang"), tiny("Nothing")], *FLAGS)
    wait_for_child(run, "rnb step 0")
    run.signal(signal.SIGINT)
    assert_failed(run.finish(), "interrupted")


def test_a_step_that_hangs_does_not_keep_the_run(bench: Bench) -> None:
    run = started(bench, [tiny("Load"), tiny("Misbehave", how="hang", at_request=0)])
    run.signal(signal.SIGTERM)
    assert_failed(run.finish(), "interrupted")


def test_the_driver_is_killed(bench: Bench) -> None:
    run = started(bench)
    run.signal(signal.SIGKILL)
    run.process.communicate()
    wait_until_no_child(run)


def test_a_full_filename_queue(bench: Bench) -> None:
    run = bench.call(
        [tiny("Load"), tiny("Pass", busy_ms=50), tiny("Classify")], "-v", "9999", "-mi", "1", "-qs", "5"
    )
    assert_failed(run, "is full: the current placement cannot handle the input stream")
    assert "1 refused" in run.out or "frame queue" in run.err


def test_a_full_frame_queue(bench: Bench) -> None:
    config = [tiny("Nothing"), tiny("Misbehave", how="hang", at_request=0)]
    run = bench.call(config, "-v", "9999", "-mi", "1", "-qs", "100")
    assert_failed(run, "frame queue 0 between steps 0 and 1 is full")


def test_a_logs_folder_that_cannot_be_made(bench: Bench) -> None:
    bench.logs.write_text("a file is in the way")
    run = bench.start(PIPELINE, *FLAGS)
    _, err = run.process.communicate(timeout=30)
    assert run.process.returncode == 2
    assert "logs" in err
    assert len(err.strip().splitlines()) == 1


def wait_for_child(run: Running, title: str) -> int:
    pids: list[int] = poll(lambda: run.children(title))
    return pids[0]


def wait_until_no_child(run: Running) -> None:
    poll(lambda: not run.children())


def poll(condition: Callable[[], Any], timeout_s: float = 20) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def test_a_reader_of_the_output_that_leaves(bench: Bench) -> None:
    run = started(bench, [tiny("Load"), tiny("Classify")], "-v", "100", "-mi", "5")
    assert run.process.stdout is not None
    run.process.stdout.close()
    assert run.process.stderr is not None
    with run.process.stderr as errors:
        assert errors.read() == ""
    assert run.process.wait(30) in (EXIT_OK, EXIT_INVALID)  # The verdict is the machine's.
    (folder,) = bench.logs.iterdir()
    assert read(folder).requests["status"].tolist() == ["finished"] * 100


def test_the_driver_is_killed_while_a_step_hangs(bench: Bench) -> None:
    run = bench.start([tiny("Misbehave", how="hang", at_request=0)], "-v", "10", "-mi", "0")
    run.wait_for_line("START!")
    time.sleep(0.5)
    run.signal(signal.SIGKILL)
    finished = run.finish()  # nothing of it may be left
    assert finished.status == -signal.SIGKILL
    assert finished.seconds_to_end < 10


def test_the_first_cause_is_told_though_another_worker_is_busy(bench: Bench) -> None:
    step = tiny("Misbehave", how="hang", at_request=0, workers=2)
    failing = {**step, "model": "tests.support.tiny_steps.HangOrFail"}
    finished = bench.call([failing], "-v", "10", "-mi", "0")
    assert finished.status == 1
    assert "step 0.0 failed: ArithmeticError: this step fails on purpose" in finished.err


def test_what_a_step_prints_leaves_the_json_object_alone(bench: Bench) -> None:
    finished = bench.run([tiny("Talk")], "-v", "3", "-mi", "0", "--json")
    assert finished.status in ENDED_WELL, finished.err
    assert json.loads(finished.out)["num_finished"] == 3
    assert finished.err.count("I have something to say") == 3


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_closed_and_full_streams(closed: str, tmp_path: Path) -> None:
    flags = ["-c", "config/empty.json", "--device", "cpu", "-v", "20", "-mi", "0", "--logs", str(tmp_path)]
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "benchmark.py", *flags]
    status = subprocess.run(shell, timeout=60, check=False, capture_output=True).returncode
    (folder,) = tmp_path.iterdir()
    assert read(folder).requests["status"].tolist() == ["finished"] * 20
    assert status in ENDED_WELL


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_a_step_starts_ends_with_the_run(bench: Bench, tmp_path: Path, is_killed: bool) -> None:
    step = tiny("StartsProcess", pid_file=str(tmp_path / "pid"))
    run = bench.start([step], "-v", "30", "-mi", "20")
    if is_killed:
        run.wait_for_line("START!")
        run.signal(signal.SIGKILL)
        time.sleep(0.5)
    status = run.finish().status  # finish() finds what is left
    assert status == -signal.SIGKILL if is_killed else status in ENDED_WELL
    assert int((tmp_path / "pid").read_text()) > 0
