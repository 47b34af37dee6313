"""A row for what processes of a kind did."""

from __future__ import annotations

from rnb.record.start_up import Phase
from rnb.show.text.start_up_text import start_up_text


def phase(process: str, what: str, from_s: float, seconds: float) -> Phase:
    return Phase(process=process, worker=None, what=what, from_s=from_s, seconds=seconds)


def test_processes_of_a_kind_share_a_row() -> None:
    phases = [
        phase("driver", "process", -2, 2),
        phase("step 0.1", "warm-up", 1.5, 1),
        phase("step 0.0", "warm-up", 1, 0.5),
        phase("step 0.2", "warm-up", 1, 3),
    ]
    kinds = {f"step 0.{number}": "step 0 on the CPU" for number in range(3)}
    assert start_up_text(phases, kinds).splitlines() == [
        "start-up                    times  from s  to s  longest s  median s",
        "driver: process                 1   -2.00  0.00       2.00      2.00",
        "step 0 on the CPU: warm-up      3    1.00  4.00       3.00      1.00",
    ]
