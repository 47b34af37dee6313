"""--find-peak: a line for each probe and what it found; on simulated runs, and on a short real search."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns import find_peak, peak_search
from rnb.campaigns.campaign import Campaign
from rnb.command_line import benchmark
from rnb.contract.termination import UsageError
from rnb.record.run_folder import read
from tests.support.running import ROOT, tiny
from tests.support.simulated_campaigns import MOST_PER_S, SimulatedPlayer

SEARCH = ("--find-peak", "--slo", "60", "-v", "2000", "--min-duration", "0")


def range_per_s(lines: list[str]) -> tuple[float, float]:
    [line] = [line for line in lines if line.startswith("peak: between ")]
    words = line.split()
    return float(words[2]), float(words[4])


def test_the_peak_of_a_simulated_pipeline(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "20") == 0
    lines = command.lines
    assert lines[0] == f"the highest rate with p99 within 60 ms; each probe is a run in {command.campaign}"
    low, high = range_per_s(lines)
    assert 150 < low < high < MOST_PER_S
    intervals_ms = [spec.load.mean_interval_ms for spec in player.specs]
    assert intervals_ms[:4] == [20, 10, 5, pytest.approx(50**0.5)]
    probes = [line for line in lines if "requests/s: p99 " in line]
    assert len(probes) == len(player.specs)
    assert all(
        any(f", {verdict}: " in line for verdict in ("passes", "fails", "undecided")) for line in probes
    )
    start = next(index for index, line in enumerate(lines) if line.startswith("requests/s "))
    rows = [line.split() for line in lines[start + 1 : start + 1 + len(player.specs)]]
    rates = [float(cells[0]) for cells in rows]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(50, rel=0.1)
    assert rows[0][1] == "50.00"
    known = json.loads((command.campaign / "peak.json").read_text())
    assert (known["low_per_s"], known["high_per_s"]) == pytest.approx((low, high), abs=0.01)
    assert len(known["probes"]) == len(probes)


def test_it_begins_at_half_of_what_a_bulk_run_gives(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH) == 0
    bulk, first = player.specs[:2]
    assert (bulk.load.mean_interval_ms, bulk.load.videos, bulk.limits.slo) == (0, 500, None)
    assert first.load.mean_interval_ms == pytest.approx(2e3 / MOST_PER_S, rel=0.1)
    assert "when all come at once; the search begins at half of that" in command.lines[1]
    assert range_per_s(command.lines)


def test_a_full_queue_is_a_rate_that_fails(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "1.5") == 0  # 667 requests/s
    assert ", fails: " in command.lines[1]
    assert "queue full" in command.lines[1]
    assert range_per_s(command.lines)


def test_a_bound_that_no_rate_keeps(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "20", "--slo", "2") == 3
    assert "no peak: p99 within 2 ms is not kept even at 3.12 requests/s" in command.lines


def test_a_run_that_fails_leaves_what_is_known(player: SimulatedPlayer, command: Any) -> None:
    player.fails_at = 4
    assert command(*SEARCH, "-mi", "20") == 1
    problem = f"the run in {command.campaign / 'run4'} failed: step 1.0 was killed by SIGKILL"
    assert command.err.splitlines()[-1] == f"benchmark.py: {problem}"
    assert "the search was not finished; what is known:" in command.lines
    known = json.loads((command.campaign / "peak.json").read_text())
    assert known["problem"] == problem
    assert len(known["probes"]) == 3
    assert known["low_per_s"] == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize("fails_at", [-1, 4])
def test_what_is_found_is_told_also_where_it_cannot_be_kept(
    player: SimulatedPlayer, command: Any, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    def refuse(campaign: Campaign, name: str, data: Any) -> None:
        raise UsageError(f"{name}: cannot be written: No space left on device")

    monkeypatch.setattr(Campaign, "keep", refuse)
    player.fails_at = fails_at
    assert command(*SEARCH, "-mi", "20", "--json") == 1
    first, *others = command.err.splitlines()
    assert first == "benchmark.py: peak.json: cannot be written: No space left on device"
    found = json.loads(command.out)
    assert len(others) == (fails_at > 0) == bool(found["problem"])
    assert found["probes"]


def test_so_does_ctrl_c(player: SimulatedPlayer, command: Any) -> None:
    player.interrupted_at = 10
    assert command(*SEARCH, "-mi", "20") == 1
    assert command.err == "benchmark.py: interrupted\n"
    assert "the search was not finished; what is known:" in command.lines
    assert range_per_s(command.lines)
    assert json.loads((command.campaign / "peak.json").read_text())["problem"] == "interrupted"


def test_a_late_client_is_not_taken_for_the_pipelines_limit(player: SimulatedPlayer, command: Any) -> None:
    player.late_from_per_s = 80.0
    command(*SEARCH, "-mi", "20")
    assert "  in some probes the client could not keep up, not the pipeline: --clients 2" in command.lines


def test_a_range_that_stays_wide_says_what_narrows_it(player: SimulatedPlayer, command: Any) -> None:
    command("--find-peak", "--slo", "60", "-v", "700", "--min-duration", "0", "-mi", "20")
    assert "  wider than ±5%: longer probes (-v, --duration) narrow it" in command.lines


def test_too_few_requests_for_the_percentile(player: SimulatedPlayer, command: Any) -> None:
    start = "benchmark.py: error: "
    assert command("--find-peak", "--slo", "60", "-v", "458") == 2
    message = "-v 458: --find-peak needs at least 459 requests to show that p99 is"
    assert command.err.startswith(start + message)
    assert not command.logs.exists()
    assert command("--find-peak", "--slo", "900", "--duration", "5", "-mi", "20") == 2
    message = "--duration 5 at 50 requests/s: --find-peak needs at least 459 requests to show that p99 is"
    assert command.err.startswith(start + message)


def test_as_json(player: SimulatedPlayer, command: Any) -> None:
    assert command(*SEARCH, "-mi", "20", "--json") == 0
    (line,) = command.lines
    found = json.loads(line)
    assert found["low_per_s"] < found["best_per_s"] < found["high_per_s"]
    assert len(found["probes"]) == len(player.specs)
    assert found["folder"] == str(command.campaign)


def test_a_search_without_a_pace_plays_what_the_defaults_of_a_search_are(
    player: SimulatedPlayer, command: Any
) -> None:
    command(*SEARCH, "-mi", "20")
    assert all(spec.limits.percentile == 99 for spec in player.specs)


def test_a_real_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So coarse that the first doubling that fails ends it: what fails ends early, by the real driver."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(peak_search, "BRACKET", 4.0)
    monkeypatch.setattr(peak_search, "MAX_PROBES", 0)
    config, videos = tmp_path / "config.json", tmp_path / "videos"
    config.write_text(json.dumps([tiny("Load"), tiny("Classify", busy_ms=10)]))
    videos.mkdir()
    (videos / "0.mp4").touch()
    flags = f"-c {config} --data {videos} --logs {tmp_path / 'logs'} --device cpu --no-telemetry -mi 2 -v 400"
    status = benchmark.main([*flags.split(), "--find-peak", "--slo", "100", "--percentile", "90", "--html"])
    out, err = capsys.readouterr()
    assert (status in (0, 3), err) == (True, "")
    [campaign] = (tmp_path / "logs").iterdir()
    assert campaign.name.endswith("-peak")
    known = json.loads((campaign / "peak.json").read_text())
    found = r"Peak: [\d.]+ to [\d.]+/s(, most likely [\d.]+/s,)? with p90 within 100 ms"
    if not known["low_per_s"] or not known["high_per_s"]:  # A busy machine may show no end of the range.
        found = r"(No peak: p90 within 100 ms is not kept|Peak: above [\d.]+/s, which still keeps p90)[^<]*"
    assert re.search(f"<h1>{found}</h1>", (campaign / "report.html").read_text())
    runs = [read(folder) for folder in campaign.iterdir() if folder.is_dir()]
    assert len(runs) == out.count(" requests/s: p90 ") >= 2
    assert "ended early" in out
    interrupted = [run for run in runs if run.meta.termination == "INTERRUPTED"]
    assert interrupted
    assert all(run.seconds < 5 for run in interrupted)
    assert len({run.args["seed"] for run in runs}) == len(runs)
    assert not any(run.args.get("find_peak") for run in runs)
    assert json.loads((campaign / "peak.json").read_text())["probes"]


def test_the_most_live_streams(player: SimulatedPlayer, command: Any) -> None:
    streams = ("--streams", "2", "--fps", "20", "--every", "2")
    assert command(*SEARCH, *streams) == 0
    [line] = [line for line in command.lines if line.startswith("peak: ")]
    found = re.fullmatch(
        r"peak: (\d+) streams of 20 frames/s keep p99 within 60 ms; (\d+) streams are too many", line
    )
    assert found
    low, high = map(int, found.groups())
    assert 15 < low < high < MOST_PER_S / 10 * 1.05
    assert command.lines[0].startswith("the most streams with p99 within 60 ms; each probe is a run in ")
    nums = [spec.load.streams for spec in player.specs]
    assert nums[:4] == [2, 4, 8, 16]
    assert len(nums) <= 17
    assert max(nums.count(num) for num in nums) == 2
    for spec in player.specs:
        assert spec.load.live is not None
        assert spec.load.mean_interval_ms == spec.load.live.interval_ms
    start = next(index for index, line in enumerate(command.lines) if line.split()[:1] == ["streams"])
    rows = [int(line.split()[0]) for line in command.lines[start + 1 : start + 1 + len(nums)]]
    assert rows == sorted(num for num in nums if num)
    known = json.loads((command.campaign / "peak.json").read_text())
    assert (known["low_per_s"], known["high_per_s"]) == (low * 10, high * 10)
    assert not [line for line in command.lines if "95 %" in line or "wider than" in line]


def test_more_streams_than_can_start_are_too_many(player: SimulatedPlayer, command: Any) -> None:
    player.fails_from = 6
    streams = ("--streams", "2", "--fps", "20", "--every", "2", "--slo", "200")
    assert command(*SEARCH, *streams) == 0
    lines = command.lines
    assert [spec.load.streams for spec in player.specs] == [2, 4, 8, 6, 5]
    assert "peak: 5 streams of 20 frames/s keep p99 within 200 ms; 6 streams are too many" in lines
    why = "fails: the run failed: step 0.0: OutOfMemoryError: no session for a stream"
    assert f"  6 streams (60.00 requests/s): p99 - ms, {why}" in lines
    assert json.loads((command.campaign / "peak.json").read_text())["probes"][2]["outcome"] == why


def test_the_first_streams_have_to_run(player: SimulatedPlayer, command: Any) -> None:
    player.fails_from = 2
    assert command(*SEARCH, "--streams", "2", "--fps", "20") == 1
    problem = "step 0.0: OutOfMemoryError: no session for a stream"
    assert command.err == f"benchmark.py: the run in {command.campaign / 'run1'} failed: {problem}\n"


def test_real_streams_that_are_more_than_can_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Streams that die with too many of them, as with too little memory on a device."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(find_peak, "DISQUALIFYING", set())  # on a busy machine the client may be late
    config, videos = tmp_path / "config.json", tmp_path / "videos"
    config.write_text(json.dumps([{"model": "tests.support.sequence_steps.FewSequences", "gpus": [-1]}]))
    videos.mkdir()
    (videos / "0.mp4").touch()
    flags = f"-c {config} --data {videos} --logs {tmp_path / 'logs'} --device cpu --no-telemetry -v 100"
    streams = "--find-peak --slo 20000 --percentile 90 --streams 2 --fps 50 --html"
    assert benchmark.main([*flags.split(), *streams.split()]) == 0
    out, err = capsys.readouterr()
    assert err == "", "a probe may fail"
    [campaign] = (tmp_path / "logs").iterdir()
    assert (
        "peak: 3 streams of 50 frames/s keep p90 within 20000 ms; 4 streams are too many" in out.splitlines()
    )
    assert out.count("fails: the run failed: step 0.0") == 2, "its line, and its row"
    known = json.loads((campaign / "peak.json").read_text())
    runs = {Path(probe["folder"]): probe["verdict"] for probe in known["probes"]}
    assert list(runs.values()) == ["passes", "fails", "passes"]
    assert all((folder / "run.json").is_file() for folder in runs)
    assert (campaign / "report.html").is_file()
