"""Several runs in one folder: what a failing run does to them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest

from rnb.analysis.summary import summarize
from rnb.analysis.verdict import judge
from rnb.campaigns.campaign import Campaign, RunFailed
from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome
from rnb.command_line import benchmark
from rnb.command_line.flags import parse_args, spec_of
from rnb.contract.termination import UsageError
from rnb.record.meta import ServerMeta
from rnb.record.run_folder import read
from rnb.spec import RunSpec
from tests.support.played import NOTHING, spec_for
from tests.support.running import ROOT, tiny
from tests.support.simulated_campaigns import SimulatedPlayer


def flags(folder: Path, *steps: dict[str, object]) -> list[str]:
    config, videos = folder / "config.json", folder / "videos"
    config.write_text(json.dumps(steps))
    videos.mkdir()
    (videos / "0.mp4").touch()
    places = ["-c", str(config), "--data", str(videos), "--logs", str(folder / "logs")]
    return [*places, "--device", "cpu", "--no-telemetry"]


def test_a_run_that_crashes_ends_the_campaign_and_shows_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    command = flags(tmp_path, tiny("Load"), tiny("Misbehave", how="raise", at_request=5))
    assert benchmark.main([*command, "-mi", "0", "-v", "20", "--repeat", "3"]) == 1
    out, err = capsys.readouterr()
    [folder] = (tmp_path / "logs").glob("*-repeat/*")
    assert "ArithmeticError: this step fails on purpose" in err
    assert "Traceback" in err
    problem = "step 1.0 failed: ArithmeticError: this step fails on purpose"
    assert err.splitlines()[-1] == f"benchmark.py: the run in {folder} failed: {problem}"
    assert "run 1" not in out
    meta = read(folder).meta
    assert meta
    assert not meta.args.get("repeat")  # as if it had been started alone


def test_a_wrong_config_is_found_before_a_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    command = flags(tmp_path, tiny("Loda"))
    assert benchmark.main([*command, "--repeat", "3"]) == 2
    assert "tests.support.tiny_steps.Loda" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_campaigns_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    spec = spec_of(parse_args(flags(tmp_path, tiny("Load"), tiny("Classify"))))
    folders = {Campaign(spec, tmp_path / "logs", "peak", SimulatedPlayer()).folder for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() and "-peak" in folder.name for folder in folders)


@pytest.mark.parametrize(("answered", "has_failed"), [(0.9, False), (0.0, True)])
def test_a_server_that_answers_some_requests_is_only_overloaded(
    tmp_path: Path, answered: float, has_failed: bool
) -> None:
    """Its probe has missed its bound; one that answers nothing is broken."""

    def play(spec: RunSpec, logs: Path, ending: EarlyEnd | None = None) -> Outcome:
        run = SimulatedPlayer()(spec, logs).run
        num_answered = int(answered * run.num_requests)
        run.requests["status"] = np.array(["finished"] * run.num_requests, dtype=object)
        run.requests["status"][num_answered:] = "refused"
        run.requests["reason"] = run.requests["status"]
        run.meta.server = ServerMeta(
            url="http://box", model="m", model_version="", name="", version="", extensions=[]
        )
        summary = summarize(run)
        return Outcome(run=run, summary=summary, verdict=judge(run), problem="requests failed")

    spec = spec_of(parse_args([*flags(tmp_path, tiny("Load"), tiny("Classify")), "-v", "200", "-mi", "10"]))
    campaign = Campaign(spec, tmp_path / "logs", "peak", play)
    with pytest.raises(RunFailed) if has_failed else contextlib.nullcontext():
        campaign.run()


def test_where_no_folder_can_be_made(tmp_path: Path) -> None:
    spec = spec_of(parse_args(flags(tmp_path, tiny("Load"), tiny("Classify"))))
    with pytest.raises(
        UsageError, match=r"--logs .*config.json: cannot make a folder there: Not a directory"
    ):
        Campaign(spec, tmp_path / "config.json", "peak", SimulatedPlayer())


def test_what_cannot_be_planned_makes_no_folder(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [tiny("Loda")])
    with pytest.raises(UsageError, match=r"tiny_steps\.Loda"):
        Campaign(spec, tmp_path / "logs", "peak", SimulatedPlayer())
    assert not (tmp_path / "logs").exists()


def test_a_run_that_fails_is_told_apart_from_one_whose_queue_was_full(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING], mean_interval_ms=5, videos=300)
    campaign = Campaign(spec, tmp_path / "logs", "peak", SimulatedPlayer(full_at=1, fails_at=2))
    assert not campaign.run().is_success
    with pytest.raises(
        RunFailed, match=f"^the run in {campaign.folder / 'run2'} failed: step 1.0 was killed by SIGKILL$"
    ):
        campaign.run()
    assert campaign.run(spec.with_load(videos=200)).summary.num_scheduled == 200
