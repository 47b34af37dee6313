"""What a server counts, before and after a run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rnb.observe.observer import End, Start
from rnb.pipeline.config import ConfigFile
from rnb.record.tables import SERVER_STEPS
from rnb.remote import statistics
from rnb.remote.asking import NotKnown
from rnb.remote.served import Served
from rnb.remote.statistics import StatisticsObserver, table_of
from rnb.spec import RunSpec, Server

START, END = Start(pids={}, facts={}, told={}), End(start_ns=0, time_ns=1, is_complete=True, told={})


def served(*extensions: str, composing: tuple[str, ...] = ()) -> Served:
    data = {"server": {"extensions": list(extensions)}, "composing": list(composing)}
    return Served(
        RunSpec(config=ConfigFile(path="m.json", data=data), server=Server(url="http://box", model="whole"))
    )


class Counting:
    """Has answered 10 more each time that it is asked, in 4 ms, of which two parts take 2; `net` none."""

    def __init__(self) -> None:
        self.rounds = {"whole": 0, "net": 0}

    def statistics(self, name: str) -> list[dict[str, Any]]:
        self.rounds[name] += 10 if name == "whole" else 0
        count = self.rounds[name]
        one = {"count": str(count), "ns": str(count * 2_000_000)}  # as protobuf's JSON has them
        stats = {"success": {"count": count, "ns": count * 4_000_000}, "queue": one, "compute_infer": one}
        half = {
            "name": name,
            "inference_count": count,
            "execution_count": count // 2,
            "inference_stats": stats,
        }
        return [half, {"name": name, "version": "2"}]


def test_the_difference_is_kept_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    monkeypatch.setattr(statistics, "asker", lambda address: counting)
    observer = StatisticsObserver(served("statistics", composing=("net",)))
    observer.start(START)
    seen = observer.stop(END)
    table = seen.tables[SERVER_STEPS]
    assert table["model"].tolist() == ["whole", "net"]
    assert [table[name].tolist() for name in ("requests", "inferences", "calls")] == [
        [10, 0],
        [10, 0],
        [5, 0],
    ]
    assert (table["total_ms"][0], table["queue_ms"][0], table["compute_infer_ms"][0]) == (4.0, 2.0, 2.0)
    assert math.isnan(table["compute_input_ms"][0])
    assert math.isnan(table["queue_ms"][1])
    assert seen.notes == []


def test_a_server_without_the_extension_is_not_asked() -> None:
    observer = StatisticsObserver(served("sequence"))
    observer.start(START)
    assert observer.stop(END).tables == {}


def test_a_server_that_does_not_tell_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def statistics(self, name: str) -> Any:
            raise NotKnown("403 Forbidden: restricted")

    monkeypatch.setattr(statistics, "asker", lambda address: Silent())
    observer = StatisticsObserver(served("statistics"))
    observer.start(START)
    assert observer.stop(END).notes == ["the server's statistics: 403 Forbidden: restricted"]


def test_a_server_that_was_started_anew_counts_from_zero() -> None:
    assert table_of({}, {"m": {"success_count": 4, "success_ns": 8_000_000}})["total_ms"].tolist() == [2.0]
