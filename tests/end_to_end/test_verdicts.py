"""The verdict of a real run: what it prints, keeps and exits with."""

from __future__ import annotations

import json

from tests.support.running import Bench, tiny


def test_an_invalid_run_ends_well_but_has_a_status_of_its_own(bench: Bench) -> None:
    run = bench.run([tiny("Load"), tiny("Classify")], "-v", "700", "-mi", "0", "--slo", "0.001")
    assert (run.status, run.err) == (3, "")
    lines = run.out.splitlines()
    headline = next(line for line in lines if line.startswith("INVALID: "))
    assert "too short" in headline
    assert "latency bound missed" in headline
    assert "  latency bound missed: 700 of 700 requests took more than 0.001 ms, p99 allows 1 %" in lines
    reason = next(index for index, line in enumerate(lines) if line.startswith("  too short: "))
    assert lines[reason].endswith(" s, at least 60 s are asked for")
    assert lines[reason + 1].startswith("    to do: -v ")
    assert any(line.startswith("Who made the tail: the slowest 1 % (7 requests") for line in lines)
    assert run.folder is not None
    verdict = json.loads((run.folder / "summary.json").read_text())["verdict"]
    assert verdict["is_valid"] is False
    assert verdict["reasons"][0]["reason"] == "too short"


def test_a_small_demonstration_is_valid(bench: Bench) -> None:
    run = bench.run([tiny("Load"), tiny("Classify")], "-v", "24", "-mi", "0", "--quiet")
    assert (run.status, run.err) == (0, "")
    assert "\nVALID\n" in run.out
