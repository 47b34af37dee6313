"""The table of who did what."""

from __future__ import annotations

from rnb.processes.run_log import RunLog
from rnb.transport.clock import LocalClock


def test_each_entry_is_a_row_in_the_order_of_time() -> None:
    log = RunLog(LocalClock())
    log.note("died", "step 0.1", 77, reason="was killed by SIGKILL")
    log.note("tried again", "step 0.1", request_id=5, attempt=2, reason="é")
    log.note("died", "step 1.0", 78)
    columns = log.columns()
    assert list(columns) == ["at_ns", "event", "replica", "pid", "request_id", "attempt", "reason"]
    assert columns["event"].tolist() == ["died", "tried again", "died"]
    assert columns["pid"].tolist() == [77, 0, 78]
    assert columns["request_id"].tolist() == [-1, 5, -1]
    assert columns["reason"].tolist() == ["was killed by SIGKILL", "é", ""]
    assert columns["at_ns"].tolist() == sorted(columns["at_ns"].tolist())
    assert columns["at_ns"][0] > 1_700_000_000_000_000_000
    assert (log.count("died"), log.count("recycled")) == (2, 0)


def test_a_log_of_nothing_has_its_columns() -> None:
    columns = RunLog(LocalClock()).columns()
    assert {name: len(values) for name, values in columns.items()} == dict.fromkeys(columns, 0)
