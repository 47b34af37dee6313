"""The same run several times, until one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.campaigns.campaign import Campaign, RunFailed
from rnb.campaigns.repeat import repeat
from tests.support.played import NOTHING, spec_for
from tests.support.simulated_campaigns import SimulatedPlayer


def campaign(folder: Path, player: SimulatedPlayer) -> Campaign:
    spec = spec_for(folder, [NOTHING], mean_interval_ms=5, videos=300)
    return Campaign(spec, folder / "logs", "repeat", player)


def test_each_is_the_same_run_in_a_folder_of_its_own(tmp_path: Path) -> None:
    player = SimulatedPlayer()
    repeated = campaign(tmp_path, player)
    outcomes = list(repeat(repeated, 3))
    assert player.specs == [repeated.spec] * 3
    assert [outcome.run.folder for outcome in outcomes] == [
        repeated.folder / f"run{number}" for number in (1, 2, 3)
    ]


def test_a_full_queue_is_the_last(tmp_path: Path) -> None:
    outcomes = list(repeat(campaign(tmp_path, SimulatedPlayer(full_at=2)), 4))
    assert [outcome.is_success for outcome in outcomes] == [True, False]


def test_a_run_that_fails_ends_it(tmp_path: Path) -> None:
    player = SimulatedPlayer(fails_at=2)
    runs = repeat(campaign(tmp_path, player), 4)
    assert next(runs).is_success
    with pytest.raises(RunFailed):
        next(runs)
    assert len(player.specs) == 2


def test_a_run_is_played_when_it_is_asked_for(tmp_path: Path) -> None:
    player = SimulatedPlayer()
    runs = repeat(campaign(tmp_path, player), 4)
    next(runs)
    assert len(player.specs) == 1
