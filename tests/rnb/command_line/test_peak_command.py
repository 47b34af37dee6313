"""--find-peak: a line for each probe and what it found; on simulated runs, and on a short real search."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.campaigns import find_peak
from rnb.command_line import benchmark
from rnb.record.run_folder import read
from tests.support.running import ROOT, tiny
from tests.support.simulated_campaigns import MOST_PER_S, SimulatedPlayer

SEARCH = ("--find-peak", "--slo", "60", "-v", "4000", "--min-duration", "0")


def peak_per_s(lines: list[str]) -> float:
    [line] = [line for line in lines if line.startswith("peak: ")]
    return float(line.split()[1])


def test_the_peak_of_a_simulated_pipeline(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "20") == 0
    lines = command.lines
    assert lines[0] == f"the highest rate with p99 within 60 ms; each probe is a run in {command.campaign}"
    peak = peak_per_s(lines)
    assert 150 < peak < MOST_PER_S
    intervals_ms = [spec.load.mean_interval_ms for spec in player.specs]
    assert intervals_ms[:4] == [20, 10, 5, pytest.approx(50**0.5)]
    probes = [line for line in lines if "requests/s: p99 " in line]
    assert len(probes) == len(player.specs)
    assert all(line.endswith(("passes", "requests/s: p99 -")) or "fails: " in line for line in probes)
    start = next(index for index, line in enumerate(lines) if line.startswith("requests/s "))
    rates = [float(line.split()[0]) for line in lines[start + 1 : start + 1 + len(player.specs)]]
    assert rates == sorted(rates)
    assert rates[0] == 50
    assert peak in rates
    assert rates[rates.index(peak) + 1] / peak <= 1.03


def test_it_begins_at_half_of_what_a_bulk_run_gives(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH) == 0
    bulk, first = player.specs[:2]
    assert (bulk.load.mean_interval_ms, bulk.load.videos, bulk.limits.slo) == (0, 500, None)
    assert first.load.mean_interval_ms == pytest.approx(2e3 / MOST_PER_S, rel=0.1)
    assert "when all come at once; the search begins at half of that" in command.lines[1]
    assert 150 < peak_per_s(command.lines) < MOST_PER_S


def test_a_full_queue_is_a_rate_that_fails(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "1.5") == 0  # 667 requests/s
    line = command.lines[1]
    assert "fails: requests lost, queue full" in line or "fails: queue full" in line
    assert 150 < peak_per_s(command.lines) < MOST_PER_S


def test_a_bound_that_no_rate_keeps(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "20", "--slo", "2") == 3
    assert command.lines[-1] == "no peak: p99 within 2 ms is not kept even at 3.12 requests/s"


def test_a_run_that_fails_ends_the_search(player: SimulatedPlayer, command: Any) -> None:
    player.fails_at = 3
    assert command(*SEARCH, "-mi", "20") == 1
    assert command.err.splitlines()[-1] == f"benchmark.py: the run in {command.campaign / 'run3'} failed"


def test_a_late_client_is_not_taken_for_the_pipelines_limit(player: SimulatedPlayer, command: Any) -> None:
    player.late_from_per_s = 80.0
    assert command(*SEARCH, "-mi", "20") == 0
    assert peak_per_s(command.lines) <= 80
    assert command.lines[-1] == "  the client could not keep up, not the pipeline: --clients 2"


def test_short_probes_say_so(player: SimulatedPlayer, command: Any) -> None:
    command(*SEARCH, "-mi", "20", "--min-duration", "600")
    assert command.lines[-1].endswith("s of load; VALID runs take 600 s: --duration 600")


def test_too_few_requests_for_the_percentile(player: SimulatedPlayer, command: Any) -> None:
    start = "benchmark.py: error: "
    assert command("--find-peak", "--slo", "60", "-v", "458") == 2
    message = "-v 458: --find-peak needs at least 459 requests to show that p99 is"
    assert command.err.startswith(start + message)
    assert not command.logs.exists()
    assert command("--find-peak", "--slo", "900", "--duration", "5", "-mi", "20") == 2
    message = "--duration 5: too short at 50 requests/s: 250 requests, and p99 takes"
    assert command.err.startswith(start + message)


def test_as_json(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "20", "--json") == 0
    (line,) = command.lines
    found = json.loads(line)
    assert found["passing"]["rate_per_s"] < found["failing"]["rate_per_s"]
    assert len(found["probes"]) == len(player.specs)
    assert found["folder"] == str(command.campaign)


def test_a_search_without_a_pace_plays_what_the_defaults_of_a_search_are(
    player: SimulatedPlayer, command: Any
) -> None:
    command(*SEARCH, "-mi", "20")
    assert all(spec.limits.percentile == 99 for spec in player.specs)
    assert {spec.load.seed for spec in player.specs} == {0}


def test_a_real_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a resolution so coarse that the first doubling that fails ends it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(find_peak, "RESOLUTION", 1.0)
    config, videos = tmp_path / "config.json", tmp_path / "videos"
    config.write_text(json.dumps([tiny("Load"), tiny("Classify", busy_ms=10)]))
    videos.mkdir()
    (videos / "0.mp4").touch()
    flags = (
        f"-c {config} --data {videos} --logs {tmp_path / 'logs'} --device cpu --no-telemetry -mi 16 -v 100"
    )
    status = benchmark.main([*flags.split(), "--find-peak", "--slo", "100", "--percentile", "50", "--html"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    [campaign] = (tmp_path / "logs").iterdir()
    assert campaign.name.endswith("-peak")
    assert re.search(
        r"<h1>Peak: [\d.]+ to [\d.]+/s with p50 within 100 ms</h1>", (campaign / "report.html").read_text()
    )
    runs = [read(folder) for folder in campaign.iterdir() if folder.is_dir()]
    assert len(runs) == out.count(" requests/s: p50 ") >= 2
    unit = [run.requests["arrival_ns"] / run.args["mean_interval_ms"] for run in runs]
    assert np.allclose(unit[0], unit, rtol=1e-6)
    assert not any(run.args.get("find_peak") for run in runs)
