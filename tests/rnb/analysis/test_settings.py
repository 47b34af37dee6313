"""Telling runs apart by their flags, configs and machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnb.analysis.run_search import FoundRun
from rnb.analysis.settings import SettingsError, differing_keys, group_key, matches, select, settings_of
from rnb.record.run import Run
from tests.support.simulated_runs import simulate


def run(folder: str = "logs/a", provenance: dict[str, Any] | None = None, **flags: Any) -> Run:
    changes: dict[str, Any] = {} if provenance is None else {"provenance": provenance}
    return simulate(folder, num_requests=10, has_telemetry=False, flags=flags, **changes)


def differing(*runs: Run) -> list[str]:
    return differing_keys([settings_of(one) for one in runs])


def test_flags_configs_and_machines() -> None:
    found = settings_of(run(batch_size=4))
    assert found["batch_size"] == "4"
    assert found["config[1].split.start"] == "1"
    assert found["config[1].gpus"] == "[0, 0]"
    assert found["packages.torch"] == "2.11.0"
    assert found["gpus"] == "['NVIDIA H200']"
    assert found["folder"] == "logs/a"


def test_where_the_output_goes_makes_no_difference() -> None:
    first, other = run("logs/a", logs="logs", json=True), run("logs/b", logs="elsewhere", json=False)
    assert differing(first, other) == []
    assert group_key(settings_of(first)) == group_key(settings_of(other))


def test_a_difference_in_flags_config_or_commit() -> None:
    assert differing(run(), run(batch_size=2)) == ["batch_size"]
    other = run(provenance={"commit": "abc", "hostname": "simulated"})
    assert differing(run(), other) == ["commit"]
    assert group_key(settings_of(run())) != group_key(settings_of(other))
    one, another = ({"commit": "abc", "is_dirty": True, "changes": changes} for changes in ("12", "34"))
    assert differing(run(provenance=one), run(provenance=another)) == ["changes"]
    assert group_key(settings_of(run(provenance=one))) != group_key(settings_of(run(provenance=another)))
    other = run()
    other.meta.config = [other.config[0]]
    assert "config[1].gpus" in differing(run(), other)


def test_a_flag_that_a_run_does_not_know_is_no_difference() -> None:
    assert differing(run(), run(a_new_flag=3)) == []
    assert differing(run(a_new_flag=4), run(), run(a_new_flag=3)) == ["a_new_flag"]


def test_groups_by_chosen_keys() -> None:
    by = ["batch_size"]
    first, other = (settings_of(run(batch_size=2, queue_size=size)) for size in (10, 20))
    assert group_key(first) != group_key(other)
    assert group_key(first, by) == group_key(other, by) == (("batch_size", "2"),)
    assert group_key(first, ["queue_size", "folder"]) == (("queue_size", "10"), ("folder", "logs/a"))


@pytest.mark.parametrize(
    ("filters", "does_match"),
    [
        ({}, True),
        ({"batch_size": "2"}, True),
        ({"batch_size": "3"}, False),
        ({"config_file_path": "*r2p1d*"}, True),
        ({"config_file_path": "*r2p1d*", "batch_size": "3"}, False),
        ({"config[1].gpus": "[0, 0]"}, True),
        ({"batch_size": "?"}, True),
    ],
)
def test_filters(filters: dict[str, str], does_match: bool) -> None:
    assert matches(settings_of(run(batch_size=2)), filters) is does_match


def test_a_key_that_no_run_has() -> None:
    runs = [(FoundRun(folder=Path("logs/a"), swept=None), one) for one in (run(), run())]
    with pytest.raises(
        SettingsError, match=r"--filter batchsize: no run has .*; did you mean 'batch_size'\?"
    ):
        list(select(runs, {"batchsize": "2"}))
    assert len(list(select(runs, {"batch_size": "1"}))) == 2
