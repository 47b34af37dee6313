"""A config on a GPU is explained, and what it would be on more of them, also where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnb.command_line import optimize
from rnb.command_line.exit_status import EXIT_OK
from rnb.pipeline import devices

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(400)]

CONFIG = "config/hand-off.json"


def test_from_runs_on_a_gpu_to_a_thousand(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = ("--logs", str(tmp_path), "--json")
    assert optimize.main(["--explain", CONFIG, "--budget", "0.3", *logs]) == EXIT_OK
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert any(one["name"] == "GPU 0: a call on it" for one in found["explanation"]["uses"])
    monkeypatch.setattr(devices, "_num_gpus", lambda: 0)
    flags = ("-c", CONFIG, "--profile", found["folder"], "--what-if", "gpus=1..1000", *logs)
    assert optimize.main(flags) == EXIT_OK
    points = json.loads(capfd.readouterr().out)["what_if"]["points"]
    assert points[0]["per_s"] == pytest.approx(found["explanation"]["per_s"], rel=0.05)
    assert points[-1]["per_s"] > points[0]["per_s"]
