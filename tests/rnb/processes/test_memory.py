"""What replicas hold after each call, and what follows where that is too much, in whole runs on the CPU."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.analysis.reasons import Reason
from rnb.analysis.summary import summarize
from rnb.analysis.verdict import judge
from rnb.contract.device import CPU
from rnb.processes.memory import MB, MemoryLimitExceeded, MemoryWatch, samples_of
from rnb.record.run import Run
from rnb.record.run_folder import read
from rnb.show.text.summary_text import table
from rnb.transport.fabric import Log
from rnb.transport.local.fabric import LocalFabric
from tests.robustness.deaths import rows_of
from tests.support.job_steps import KEPT_BYTES
from tests.support.played import played, spec_for
from tests.support.underway import CONTEXT, pieces_of

NUM_REQUESTS, NUM_KEPT = 500, 600


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"model": f"tests.support.job_steps.{name}", "gpus": [0], **options}


def watched(folder: Path, *steps: dict[str, Any], restart: int = 0, memory: bool = True) -> Run:
    spec = spec_for(folder, steps, videos=NUM_REQUESTS)
    limits = dataclasses.replace(spec.limits, restart=restart)
    kept = folder / "run"
    kept.mkdir()
    # Spawned, since what a forked process holds begins with what this one's nursery has imported.
    return played(dataclasses.replace(spec, limits=limits, memory=memory), folder=kept, fabric=LocalFabric())


def hold_more(log: Log) -> None:
    table = LocalFabric().table(num_requests=11, events=())
    table.note_size(9, 30, 20)
    table.note_size(10, 40, 20)
    watch = MemoryWatch(CPU, log=log, number=3, limit_mb=None, outcomes=table.outcomes)
    watch.look(pieces_of(0, None, {7: (), 8: ()}))
    kept = [os.urandom(KEPT_BYTES) for _ in range(NUM_KEPT)]
    watch.look(pieces_of(0, None, {9: (5,), 10: (6,)}))
    assert len(kept) == NUM_KEPT


def test_a_sample_says_what_the_process_holds_for_itself() -> None:
    log = LocalFabric().log()
    process = CONTEXT.Process(target=hold_more, args=(log,))  # one whose memory nothing has used before
    process.start()
    process.join(60)
    (first, before), (second, after) = samples_of(log)
    assert (first, second) == (3, 3)
    assert (before.request_id, before.num_requests, before.num_rows, before.num_pixels) == (7, 2, 0, 0)
    assert (after.request_id, after.num_requests, after.num_rows, after.num_pixels) == (9, 2, 11, 800)
    assert after.held_bytes - before.held_bytes == pytest.approx(NUM_KEPT * KEPT_BYTES, rel=0.2)
    assert after.peak_bytes >= after.held_bytes
    assert (after.pid, before.at_ns < after.at_ns) == (process.pid, True)


def test_more_than_the_limit_is_an_error_that_says_how_much() -> None:
    where: dict[str, Any] = {"log": None, "number": 0, "outcomes": None}
    MemoryWatch(CPU, **where, limit_mb=100_000).look(pieces_of(0, None, {7: ()}))
    with pytest.raises(MemoryLimitExceeded, match=r"^holds \d+ MB after request 7, more than its memory_l"):
        MemoryWatch(CPU, **where, limit_mb=1).look(pieces_of(0, None, {7: ()}))


def test_a_step_that_keeps_64_kib_of_each_request_is_named(tmp_path: Path) -> None:
    run = watched(tmp_path, step("Tell"), step("Leak"))
    assert run.meta.is_success, run.meta.message
    back = read(tmp_path / "run")
    (finding,) = [one for one in judge(back).findings if one.reason is Reason.MEMORY_GROWS]
    assert "step 1.0 keeps" in finding.seen
    assert "step 0.0" not in finding.seen
    assert len(back.tables["memory"]["at_ns"]) == 2 * NUM_REQUESTS
    quiet, leaking = summarize(back).memory
    assert quiet.growth_per_request_bytes is None
    assert leaking.growth_per_request_bytes == pytest.approx(KEPT_BYTES, rel=0.15)
    assert "memory in MB" in table(summarize(back))


def test_a_step_that_fills_a_cache_first_does_not_leak(tmp_path: Path) -> None:
    run = watched(tmp_path, step("Leak", most=NUM_REQUESTS // 5))
    assert run.meta.is_success, run.meta.message
    assert Reason.MEMORY_GROWS not in {one.reason for one in judge(run).findings}


def test_a_replica_over_its_limit_ends_the_run_in_a_line(tmp_path: Path) -> None:
    run = watched(tmp_path, step("Leak", memory_limit_mb=30), memory=False)
    assert "memory" not in run.tables
    assert run.meta.message.startswith("step 0.0 failed: MemoryLimitExceeded: holds 3")
    assert run.meta.message.endswith("more than its memory_limit_mb of 30")


def test_with_restart_it_is_replaced_and_no_request_is_lost(tmp_path: Path) -> None:
    run = watched(tmp_path, step("Leak", memory_limit_mb=45), restart=9)
    assert run.meta.is_success, run.meta.message
    assert run.requests["status"].tolist() == ["finished"] * NUM_REQUESTS
    died = [row for row in rows_of(run.tables["events"]) if row["event"] == "died"]
    assert died
    assert all("memory_limit_mb of 45" in row["reason"] for row in died)
    assert run.tables["memory"]["held_bytes"].max() < 47 * MB
    assert len(np.unique(run.tables["memory"]["pid"])) == 1 + len(died)


def test_recycled_in_time_a_leak_is_none(tmp_path: Path) -> None:
    run = watched(tmp_path, step("Leak", seconds=0.002, recycle_after=100))
    assert run.meta.is_success, run.meta.message
    assert Reason.MEMORY_GROWS not in {one.reason for one in judge(run).findings}
    assert len(np.unique(run.tables["memory"]["pid"])) >= 4
