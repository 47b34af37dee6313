"""The lines about the timed part: what the steps tell of themselves, the start, the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rnb.observe.observer import End, Start, Watched
from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.record.start_up import Phase
from rnb.show import console
from rnb.show.announcer import Announcer
from rnb.transport.local.fabric import LocalFabric
from tests.support.played import NOTHING


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    console.configure()


class NoOffset:
    """A clock whose readings are epoch ns."""

    def now_ns(self) -> int:
        return 0

    def epoch_offset_ns(self) -> int:
        return 0


def prepared() -> Announcer:
    plan = make_plan(parse_config([NOTHING, {**NOTHING, "gpus": [0, 1]}]), PlanOptions(mode="cpu"))
    table = LocalFabric().table(num_requests=20, events=plan.events)
    announcer = Announcer()
    announcer.prepare(
        Watched(plan=plan, table=table, queues=(), payloads=(), data="", num_warmup=0, clock=NoOffset())
    )
    return announcer


def started(facts: dict[str, Any]) -> Start:
    return Start(pids={}, facts=facts, told={})


def ended(*, is_complete: bool) -> End:
    return End(start_ns=1_500_000_000, time_ns=3_750_000_000, is_complete=is_complete, told={})


def test_the_seeds_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(verbose=True)
    announcer = prepared()
    assert capsys.readouterr().out == ""
    announcer.start(started({}))
    assert capsys.readouterr().out == ""
    announcer.begin(1_500_000_000)
    assert capsys.readouterr().out == "START! 1.500000\n"
    announcer.stop(ended(is_complete=True))
    assert capsys.readouterr().out.splitlines() == [
        "Finished processing 20 videos",
        "FINISH! 3.750000",
        "That took 2.250000 seconds",
        "Waiting for child processes to return...",
    ]


def test_a_run_that_was_cut_short_has_not_finished_its_videos(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(verbose=True)
    prepared().stop(ended(is_complete=False))
    assert capsys.readouterr().out.startswith("FINISH! 3.750000\n")


def test_of_the_end_only_verbose_tells(capsys: pytest.CaptureFixture[str]) -> None:
    prepared().stop(ended(is_complete=True))
    assert capsys.readouterr().out == ""


def test_what_steps_tell_comes_once_for_replicas_that_tell_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    same = {"top1": 0.5, "clips": 3}
    prepared().start(started({"step 0.0": {"decoder": "pyav"}, "step 1.0": same, "step 1.1": same}))
    assert capsys.readouterr().out.splitlines() == [
        "step 0: decoder pyav",
        "step 1: top1 0.5, clips 3",
    ]


def test_verbose_says_where_the_start_up_went(capsys: pytest.CaptureFixture[str]) -> None:
    phases = [Phase(process="step 1.0", worker=0, what="warm-up", from_s=0, seconds=1)]
    start = Start(pids={}, facts={}, told={}, phases=phases)
    prepared().start(start)
    assert capsys.readouterr().out == ""
    console.configure(verbose=True)
    prepared().start(start)
    assert "step 1 on the CPU: warm-up" in capsys.readouterr().out


def test_quiet_leaves_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(quiet=True)
    announcer = prepared()
    announcer.start(started({"step 0.0": {"decoder": "pyav"}}))
    announcer.begin(1_500_000_000)
    announcer.stop(ended(is_complete=True))
    assert capsys.readouterr() == ("", "")
