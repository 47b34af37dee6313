"""Progress: what it says of the request table, how little it looks at, and where it is shown."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.observe.observer import End, Start, Watched
from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.show import console, progress
from rnb.show.progress import Progress, Tracker
from rnb.transport.fabric import FAILED, FINISHED
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.request_table import RequestTable
from tests.support.played import NOTHING

DONE = Event(EventKind.FINISHED, 0)
EVENTS = (DUE, SENT, DONE)
MS = 1_000_000


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    console.configure()


class Clock:
    """In the place of the clock and of the CPU's time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.cpu_s = 100.0, 0.0
        fake = SimpleNamespace(monotonic=lambda: self.now_s, thread_time=lambda: self.cpu_s)
        monkeypatch.setattr("rnb.show.progress.time", fake)


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make_table(num_requests: int) -> RequestTable:
    return RequestTable(num_requests=num_requests, events=EVENTS)


def send(table: RequestTable, rows: Sequence[int]) -> None:
    table.column(DUE)[rows] = 1000 * MS + np.array(rows) * MS
    table.column(SENT)[rows] = table.column(DUE)[rows]


def finish(table: RequestTable, rows: Sequence[int], latency_ms: float = 5) -> None:
    table.column(DONE)[rows] = table.column(DUE)[rows] + int(latency_ms * MS)
    table.outcomes["status"][rows] = FINISHED


def test_counts_and_the_rate_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    table = make_table(10_000)
    tracker = Tracker(table, depths=lambda: [7, 0])
    send(table, range(6000))
    finish(table, range(1000))
    table.outcomes["status"][[1000, 1001]] = FAILED
    clock.now_s += 2
    first = tracker.look()
    assert (first.seconds, first.num_requests, first.num_sent) == (2, 10_000, 6000)
    assert (first.num_finished, first.num_failed, first.finished_per_s) == (1000, 2, 500)
    finish(table, range(1002, 5002))
    clock.now_s += 10
    second = tracker.look()
    assert (second.num_finished, second.num_failed, second.finished_per_s) == (5000, 2, 400)
    clock.now_s += 10
    assert tracker.look().finished_per_s == 0
    assert tracker.look().depths == [7, 0]


def test_requests_that_finish_out_of_order_are_each_counted_once() -> None:
    table = make_table(50_000)
    tracker = Tracker(table)
    send(table, range(50_000))
    order = np.random.default_rng(0).permutation(50_000)
    # As if a slow branch of the pipeline lagged behind by up to 3,000 requests.
    order = order[np.argsort(order + 3000 * (order % 7 == 0), kind="stable")]
    for rows in np.array_split(order, 40):
        finish(table, rows.tolist())
        standing = tracker.look()
        assert standing.num_finished == np.count_nonzero(table.outcomes["status"])
    assert (standing.num_sent, standing.num_finished) == (50_000, 50_000)


def test_requests_that_ended_on_other_nodes_count_though_their_times_are_not_known_yet() -> None:
    table = make_table(2000)
    tracker = Tracker(table)
    send(table, range(2000))
    finish(table, range(1000), latency_ms=7)
    finish(table, range(1000, 2000))
    table.times[1000:2000, -1] = 0
    standing = tracker.look()
    assert standing.num_finished == 2000
    assert standing.p99_ms == pytest.approx(7)


def test_the_p99_is_of_the_last_that_count_and_has_its_floor() -> None:
    table = make_table(3000)
    tracker = Tracker(table, num_warmup=10)
    send(table, range(3000))
    finish(table, range(10), latency_ms=9999)
    finish(table, range(10, 671))
    assert tracker.look().p99_ms is None
    finish(table, [671])
    assert tracker.look().p99_ms == pytest.approx(5)
    finish(table, range(672, 1672), latency_ms=80)
    assert tracker.look().p99_ms == pytest.approx(80)
    finish(table, range(1672, 2672), latency_ms=1)
    assert tracker.look().p99_ms == pytest.approx(1)


def test_only_few_rows_of_a_large_table_are_looked_at() -> None:
    table = make_table(200_000)
    tracker = Tracker(table)
    send(table, range(100_000))
    finish(table, range(80_000))
    tracker.look()
    looked_at = _count_rows_read(tracker)
    finish(table, range(80_000, 80_100))
    assert tracker.look().num_finished == 80_100
    assert sum(looked_at) < 30_000


def _count_rows_read(tracker: Tracker) -> list[int]:
    counts: list[int] = []

    class Counting:
        def __init__(self, column: np.ndarray) -> None:
            self._column = column

        def __len__(self) -> int:
            return len(self._column)

        def __getitem__(self, rows: Any) -> np.ndarray:
            found: np.ndarray = self._column[rows]
            counts.append(len(found))
            return found

    for changes in (tracker._sent, tracker._done):
        changes._column = Counting(changes._column)  # type: ignore[assignment]
    return counts


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, term: str = "xterm") -> str:
    """What a run of half a minute with eight updates a second writes on stderr."""
    clock = Clock(monkeypatch)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", stream)
    table = make_table(2000)
    with watching(table, depths=[3, 51]) as running:
        for start in range(0, 1200, 5):
            send(table, range(start, start + 5))
            clock.now_s += 0.125
            running.look()
    return stream.getvalue()


@contextlib.contextmanager
def watching(table: RequestTable, *, depths: Sequence[int] = ()) -> Iterator[Progress]:
    """A run from its start to its end."""
    running = Progress()
    running.prepare(watched(table, depths=depths))
    running.start(Start(pids={}, facts={}, told={}))
    yield running
    running.stop(End(start_ns=0, time_ns=1, is_complete=True, told={}))


def watched(table: RequestTable, *, depths: Sequence[int] = ()) -> Watched:
    fabric = LocalFabric()
    plan = make_plan(parse_config([NOTHING, NOTHING]), PlanOptions(mode="cpu"))
    queues: Any = [SimpleNamespace(depth=lambda depth=depth: depth) for depth in depths or (0, 0)]
    return Watched(
        plan=plan, table=table, queues=queues, payloads=(), data="", num_warmup=0, clock=fabric.clock
    )


FIRST = "10 s: 400 of 2,000 sent, 0 finished, 0 failed; 0.0/s, p99 -"
WAITING = "waiting: 3 for step 0, 51 for step 1"


def test_elsewhere_it_is_a_plain_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, io.StringIO()).splitlines()
    assert lines[0] == f"{FIRST}; {WAITING}"
    assert [line.split(":")[0] for line in lines] == ["10 s", "20 s", "30 s"]


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in shown(monkeypatch, FakeTerminal(), term="dumb")


def test_on_a_terminal_two_lines_are_redrawn_and_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = shown(monkeypatch, FakeTerminal())
    frames = drawn.split("\x1b[J")
    assert 50 <= len(frames) <= 62
    assert f"{FIRST}\n{WAITING}" in drawn
    assert {frame.count("\n") for frame in frames[1:-1]} == {1}
    assert _screen(drawn) == ""


def _screen(drawn: str) -> str:
    """What a terminal shows in the end: it knows \\r, \\n, cursor up by one line and clear from here."""
    lines, row = [""], 0
    for part in drawn.replace("\x1b[1A", "\0").replace("\x1b[J", "\1"):
        if part == "\r":
            continue
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\0":
            row -= 1
        elif part == "\1":
            lines = [*lines[:row], ""]
        else:
            lines[row] += part
    return "\n".join(lines).strip()


def test_lines_are_cut_at_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DEFAULT_WIDTH", 20)
    drawn = shown(monkeypatch, FakeTerminal())
    assert "waiting: 3 for step\r" in drawn


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    console.configure(quiet=True)
    assert shown(monkeypatch, FakeTerminal()) == ""


def test_a_look_that_takes_long_is_followed_by_a_longer_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    looks: list[float] = []

    class Slow(Tracker):
        def look(self) -> progress.Standing:
            looks.append(clock.now_s)
            clock.cpu_s += 0.25
            return super().look()

    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr(progress, "Tracker", Slow)
    with watching(make_table(10)) as running:
        for _ in range(1000):
            clock.now_s += 0.1
            running.look()
    assert len(looks) >= 3
    assert np.diff(looks).min() >= 25


def test_before_the_start_there_is_nothing_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    running = Progress()
    running.look()
    running.kill()
    running.prepare(watched(make_table(10)))
    running.look()
    running.kill()
    assert stream.getvalue() == ""


def test_a_run_that_ends_otherwise_leaves_no_half_of_it_either(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), FakeTerminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", stream)
    running = Progress()
    running.prepare(watched(make_table(10)))
    running.start(Start(pids={}, facts={}, told={}))
    clock.now_s += 5
    running.look()
    assert _screen(stream.getvalue())
    running.kill()
    assert _screen(stream.getvalue()) == ""
    before = stream.getvalue()
    running.kill()
    assert stream.getvalue() == before
