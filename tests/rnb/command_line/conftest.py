"""Commands whose runs are only simulated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome
from rnb.command_line import benchmark, play_command
from rnb.observe.observer import Observer
from rnb.show import console
from rnb.spec import RunSpec
from tests.support.played import NOTHING
from tests.support.simulated_campaigns import SimulatedPlayer


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """What a command asked the console for ends with its test."""
    yield
    console.configure()


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> SimulatedPlayer:
    """Plays the runs of all commands."""
    found = SimulatedPlayer()

    def play(spec: RunSpec, logs: Path, *, observers: Sequence[Observer] = (), **_: Any) -> Outcome:
        ending = next((one for one in observers if isinstance(one, EarlyEnd)), None)
        return found(spec, logs, ending)

    monkeypatch.setattr(play_command, "play_and_judge", play)
    return found


class CommandLine:
    """benchmark.py in this process, with a config of its own; `out` and `err` are what it printed last."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.logs, self._capsys = folder / "logs", capsys
        config, videos = folder / "config.json", folder / "videos"
        config.write_text(json.dumps([NOTHING]))
        videos.mkdir()
        (videos / "0.mp4").touch()
        self._places = ["-c", str(config), "--data", str(videos), "--logs", str(self.logs), "--device", "cpu"]
        self.out = self.err = ""

    def __call__(self, *flags: str) -> int:
        status = benchmark.main([*self._places, *flags])
        self.out, self.err = self._capsys.readouterr()
        return status

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def campaign(self) -> Path:
        """The folder of the only campaign."""
        (folder,) = self.logs.iterdir()
        return folder


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, capsys)
