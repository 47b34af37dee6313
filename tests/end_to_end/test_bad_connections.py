"""What comes over connections that are slow, or drip, is right; those that stall or are reset end the
run with a line that names the node, and nothing of it is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.cluster.launching import LocalLauncher
from rnb.observe.observer import Observer
from rnb.processes import other_nodes
from rnb.processes.bridges import addresses_for
from rnb.record.run import Run
from tests.support.bad_connection import Proxies, Trouble
from tests.support.leftovers import pids_with, read
from tests.support.played import NOTHING, played, spec_for
from tests.support.running import tiny
from tests.support.tiny_steps import clips_of, expected_label

MOST_SECONDS = 30
MARK = "RNB_TEST_BAD_CONNECTION"

LANES = [{**NOTHING, "gpus": ["0:-1"]}, {**NOTHING, "gpus": ["1:-1", "0:-1"]}]
"""Messages without tensors, which their writers send."""
BOTH = [tiny("Load", gpus=["0:0", "1:0"]), tiny("Classify", gpus=["1:0"])]
"""Messages with tensors as well, which bridges send."""
CUT = re.compile(r"the connection to node [01] was cut: ")

Play = Callable[..., Run]


class Beginning(Observer):
    """Tells the proxies when the run begins, however long its start took."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    def begin(self, start_ns: int) -> None:
        self._proxies.begin()


@pytest.fixture
def play_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Plays a run over two nodes whose connections have a trouble."""
    opened = []
    monkeypatch.setenv(MARK, str(tmp_path))

    def play(steps: list[Any], trouble: Trouble, **load: Any) -> Run:
        proxies = Proxies(trouble)
        opened.append(proxies)
        monkeypatch.setattr(
            other_nodes,
            "addresses_for",
            lambda *which: proxies.in_the_place_of(addresses_for(*which)),
        )
        spec = replace(spec_for(tmp_path, steps, **load), num_nodes=2)
        return played(spec, cluster=LocalLauncher(2), observers=[Beginning(proxies)])

    yield play
    for proxies in opened:
        proxies.close()
    assert not [pid for pid in pids_with(f"{MARK}={tmp_path}") if is_of_run(pid)]


def is_of_run(pid: int) -> bool:
    """Not what all runs of this process share, which is what theirs are forked from."""
    title = read(f"/proc/{pid}/comm").strip()
    is_agent = "rnb.cluster.agent" in read(f"/proc/{pid}/cmdline")
    return is_agent or (title.startswith("rnb ") and title != "rnb nursery")


SLOW = {"delayed": Trouble(delay_s=0.02), "byte by byte": Trouble(most_bytes=1)}


@pytest.mark.parametrize("how", SLOW)
def test_what_is_slow_comes_through_right(play_through: Play, how: str) -> None:
    run = play_through(BOTH, SLOW[how], mean_interval_ms=2, videos=40)
    assert run.requests["status"].tolist() == ["finished"] * 40, run.meta.message
    assert run.requests["label"].tolist() == [expected_label(request) for request in range(40)]
    assert run.requests["num_clips"].tolist() == [clips_of(request) for request in range(40)]
    assert set(run.requests["replica0"].tolist()) == {0, 1}


@pytest.mark.parametrize(("steps", "resets"), [(LANES, True), (BOTH, False)], ids=["reset", "silent"])
def test_what_is_cut_ends_the_run_with_the_nodes_name(
    play_through: Play, steps: list[Any], resets: bool
) -> None:
    """In its middle, long before all is sent."""
    run = play_through(steps, Trouble(after_s=3, resets=resets), mean_interval_ms=20, videos=10_000)
    assert not run.meta.is_success
    assert CUT.search(run.meta.message), run.meta.message
    assert run.meta.start_epoch_ns is not None
    assert run.meta.end_epoch_ns - run.meta.start_epoch_ns < MOST_SECONDS * 1e9
    assert np.count_nonzero(run.finished) > 0, "what was served before is kept"
