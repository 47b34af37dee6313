"""Several runs in one folder: what a failing run does to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import benchmark
from rnb.arguments import parse_args
from rnb.campaign import Campaign
from rnb.driver import UsageError
from rnb.run_folder import read
from tests.support.running import ROOT, tiny


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
    assert err.splitlines()[-1] == f"benchmark.py: the run in {folder} failed"
    assert "run 1" not in out
    meta = read(folder).meta
    assert meta
    assert meta.args["repeat"] is None  # as if it had been started alone


def test_a_wrong_config_is_found_before_a_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    command = flags(tmp_path, tiny("Loda"))
    assert benchmark.main([*command, "--repeat", "3"]) == 2
    assert "tests.support.tiny_steps.Loda" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_campaigns_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    args = parse_args(flags(tmp_path, tiny("Load"), tiny("Classify")))
    folders = {Campaign(args, "peak").folder for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() and "-peak" in folder.name for folder in folders)


def test_where_no_folder_can_be_made(tmp_path: Path) -> None:
    args = parse_args(flags(tmp_path, tiny("Load"), tiny("Classify")))
    args.logs = str(tmp_path / "config.json")
    with pytest.raises(
        UsageError, match=r"--logs .*config.json: cannot make a folder there: Not a directory"
    ):
        Campaign(args, "peak")
