"""The verdict of a real run: what it prints, keeps and exits with."""

from __future__ import annotations

import json
import math
import os

from rnb.record.run_folder import read
from tests.support.hogs import hogs
from tests.support.running import Bench, tiny


def test_an_invalid_run_ends_well_but_has_a_status_of_its_own(bench: Bench) -> None:
    run = bench.call([tiny("Load"), tiny("Classify")], "-v", "3000", "-mi", "0", "--slo", "0.001")
    assert (run.status, run.err) == (3, "")
    lines = run.out.splitlines()
    headline = next(line for line in lines if line.startswith("INVALID: "))
    assert "too short" in headline
    assert "latency bound missed" in headline
    assert run.folder is not None
    summary = json.loads((run.folder / "summary.json").read_text())
    count = summary["num_scheduled"]
    missed = f"  latency bound missed: {count} of {count} requests took more than 0.001 ms, p99 allows 1 %"
    assert missed in lines
    reason = next(index for index, line in enumerate(lines) if line.startswith("  too short: "))
    assert lines[reason].endswith(" s, at least 60 s are asked for")
    assert lines[reason + 1].startswith("    to do: -v ")
    slowest = f"Who made the tail: the slowest 1 % ({math.ceil(count / 100)} requests"
    assert any(line.startswith(slowest) for line in lines)
    verdict = summary["verdict"]
    assert verdict["is_valid"] is False
    assert verdict["reasons"][0]["reason"] == "too short"


def test_a_small_demonstration_is_not_judged(bench: Bench) -> None:
    run = bench.call([tiny("Load"), tiny("Classify")], "-v", "24", "-mi", "0", "--quiet", "--no-telemetry")
    assert (run.status, run.err) == (0, "")
    lines = run.out.splitlines()
    assert lines[0] == "NOT JUDGED: steady state not tested, other load not looked at"
    assert lines[1].endswith(" requests finished while it could be steady, the test needs 200")
    assert lines[2] == "    to do: -v 221"
    assert lines[4] == "    to do: a run without --no-telemetry"
    assert run.folder is not None
    verdict = json.loads((run.folder / "summary.json").read_text())["verdict"]
    assert (verdict["judgement"], verdict["is_valid"], verdict["reasons"]) == ("NOT JUDGED", None, [])


def test_other_load_is_seen_and_named(bench: Bench) -> None:
    """A hog for each CPU that the run may use, beside a run that hardly uses them."""
    with hogs(len(os.sched_getaffinity(0))):
        run = bench.call([tiny("Load"), tiny("Classify")], "-v", "150", "-mi", "20", "--json")
    assert (run.status, run.err) == (3, "")
    verdict = json.loads(run.out)["verdict"]
    assert (verdict["judgement"], verdict["is_valid"]) == ("INVALID", False)
    (found,) = [one for one in verdict["reasons"] if one["reason"] == "other load"]
    assert found["seen"].startswith("others took up to ")
    assert run.folder is not None
    others = read(run.folder).meta.provenance["other_processes"]
    assert others  # five of them: where the machine has more to do, others than these hogs
    assert all(f"{one['name']} (pid {one['pid']})" in found["seen"] for one in others)
    assert not {one["advice"] for one in verdict["reasons"] if "--clients" in one["advice"]}
