"""A run that is played, kept and judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rnb.analysis.reasons import Reason
from rnb.campaigns import outcome as module
from rnb.campaigns.outcome import play_and_judge
from rnb.contract.termination import UsageError
from rnb.record.run_folder import RunFolderError, read
from rnb.spec import RunSpec
from tests.support.played import NOTHING, spec_for
from tests.support.running import tiny
from tests.support.tiny_observer import TinyObserver


def test_it_is_kept_in_a_folder_of_its_own(tmp_path: Path) -> None:
    logs, observer, announced = tmp_path / "logs", TinyObserver(), list[RunSpec]()
    spec = spec_for(tmp_path, [NOTHING], mean_interval_ms=None, videos=None, ramp="200:200:1", duration=0.2)
    outcome = play_and_judge(
        spec, logs, observers=[observer], announce=lambda spec, plan: announced.append(spec)
    )
    assert (outcome.is_success, outcome.problem, outcome.has_started) == (True, "", True)
    (folder,) = logs.iterdir()
    assert outcome.run.folder == folder
    run = read(folder)
    assert run.args["videos"] == run.num_requests == outcome.summary.num_scheduled
    assert announced[0].load.videos == run.num_requests, "what is announced is settled"
    assert observer.calls[-1] == "conclude"
    summary = json.loads((folder / "summary.json").read_text())
    kept = {**outcome.summary.to_json(), "verdict": outcome.verdict.to_json(), "faults": []}
    assert summary == kept
    assert outcome.to_json() == {**summary, "folder": str(folder), "is_success": True, "message": ""}


def test_what_cannot_be_played_makes_no_folder_and_announces_nothing(tmp_path: Path) -> None:
    spec, announced = spec_for(tmp_path, [NOTHING], data=str(tmp_path / "none")), list[RunSpec]()
    with pytest.raises(UsageError, match="not a folder of videos"):
        play_and_judge(spec, tmp_path / "logs", announce=lambda spec, plan: announced.append(spec))
    assert not (tmp_path / "logs").exists()
    assert announced == []


def test_where_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(UsageError, match=r"^--logs .*logs: "):
        play_and_judge(spec_for(tmp_path, [NOTHING]), tmp_path / "logs")


def test_a_run_that_fails_is_judged_all_the_same(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [tiny("Misbehave", at_request=5)], mean_interval_ms=5)
    outcome = play_and_judge(spec, tmp_path / "logs")
    assert outcome.problem == "step 0.0 failed: ArithmeticError: this step fails on purpose"
    assert outcome.has_started
    assert outcome.has_reason(Reason.PROCESS_FAILED)
    assert not outcome.has_reason(Reason.QUEUE_FULL)
    assert outcome.run.folder
    assert (outcome.run.folder / "summary.json").exists()
    never = play_and_judge(replace(spec, config=spec_for(tmp_path, [tiny("Misbehave")]).config), tmp_path)
    assert not never.has_started


def test_a_summary_that_cannot_be_written_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, summary: object) -> None:
        raise RunFolderError("summary.json: cannot be written: No space left on device")

    monkeypatch.setattr(module, "write_summary", fail)
    outcome = play_and_judge(spec_for(tmp_path, [NOTHING]), tmp_path / "logs")
    assert outcome.problem.startswith("the run folder is not complete: summary.json: ")
    assert not outcome.is_success
