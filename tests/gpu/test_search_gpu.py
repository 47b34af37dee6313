"""A search on a GPU: from the whole pipeline to the choices of the fast one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnb.command_line import optimize
from rnb.command_line.exit_status import EXIT_OK
from rnb.planner.memory import Memory
from tests.support.running import ROOT

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]


def test_a_search_finds_something_faster(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flags = ("--budget", "3", "--min-agreement", "0", "--data", str(ROOT / "data" / "videos"))
    config = str(ROOT / "config" / "r2p1d-search.json")
    assert optimize.main(["-c", config, *flags, "--logs", str(tmp_path), "--json"]) == EXIT_OK
    told: dict[str, Any] = json.loads(capfd.readouterr().out)
    start, *others = [one for one in told["candidates"] if not one["problem"]]
    assert max(one["measured"]["per_s"] for one in others) > 1.2 * start["measured"]["per_s"]
    profile = Memory(Path(told["folder"])).profile()
    calls = {(key.is_gpu, key.codec) for key in profile.durations if key.kind == "call" and key.pixels}
    assert (True, "h264") in calls
    of_gpu = [cores for (_, is_gpu), cores in profile.demand.items() if is_gpu]
    assert of_gpu
    assert all(0 <= cores <= 4 for cores in of_gpu)
