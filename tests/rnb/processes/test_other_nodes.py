"""Runs over two nodes, of which the other one is not quite as it should be."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.analysis.crossings import crossed_stages
from rnb.cluster.launching import LaunchedHere, LocalLauncher
from rnb.contract.events import DUE
from rnb.contract.termination import UsageError
from rnb.play import Interruption
from rnb.processes.supervisor import Child, Supervisor
from rnb.spec import Limits, RunSpec
from rnb.transport.tcp.handshake import listen
from tests.support.played import NOTHING, played, spec_for

AHEAD_S = 1000
TIME_NAMESPACE = ["unshare", "--time", "--monotonic", str(AHEAD_S), "--fork", "--kill-child"]


class Wrapped(LocalLauncher):
    """Agents run by another command than Python's."""

    def __init__(self, folder: Path, *lines: str, num_nodes: int = 2) -> None:
        super().__init__(num_nodes)
        self._command = folder / "python"
        self._command.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
        self._command.chmod(0o755)

    def launch(self, node: int, told: str) -> LaunchedHere:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", str(self._command))
            return super().launch(node, told)


def spec_over_two(folder: Path) -> RunSpec:
    steps = [{**NOTHING, "gpus": ["0:-1"]}, {**NOTHING, "gpus": ["1:-1", "0:-1"]}]
    spec = spec_for(folder, steps, mean_interval_ms=3, videos=100)
    return replace(spec, num_nodes=2)


def can_shift_clocks() -> bool:
    try:
        return subprocess.run([*TIME_NAMESPACE, "true"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def test_times_of_a_clock_that_is_far_ahead_are_translated(tmp_path: Path) -> None:
    if not can_shift_clocks():
        pytest.skip("needs time namespaces: Linux 5.6, and the right to make one")
    launcher = Wrapped(tmp_path, f'exec {" ".join(TIME_NAMESPACE)} {sys.executable} "$@"')
    run = played(spec_over_two(tmp_path), cluster=launcher)
    assert run.requests["status"].tolist() == ["finished"] * 100, run.meta.message
    clock = run.meta.nodes[1]["clock"]
    assert abs(clock["offset_ns"] + AHEAD_S * 10**9) <= clock["bound_ns"], "the truth is known here"
    assert run.meta.nodes[0]["clock"] is None
    assert set(run.requests["replica1"].tolist()) == {0, 1}
    times = np.stack([run.times[event] for event in run.events], axis=1)
    assert run.events[0] == DUE
    assert (np.diff(times, axis=1)[:, 1:] >= -clock["bound_ns"]).all()
    ready_s = {phase.process: phase.to_s for phase in run.meta.start_up if phase.what == "warm-up"}
    assert ready_s.keys() == {"step 0.0", "step 1.0", "step 1.1"}
    assert all(0 < at_s < 60 for at_s in ready_s.values()), "also of those whose clock is far ahead"
    (crossed,) = crossed_stages(run)
    assert crossed.bound_ns == clock["bound_ns"]
    assert crossed.num_requests == np.count_nonzero(run.requests["replica1"] == 0)


def test_what_is_late_is_so_by_the_clock_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_shift_clocks():
        pytest.skip("needs time namespaces: Linux 5.6, and the right to make one")
    monkeypatch.setattr("rnb.processes.other_nodes.START_INTERVAL_S", 0.1)  # told again while it plays
    launcher = Wrapped(tmp_path, f'exec {" ".join(TIME_NAMESPACE)} {sys.executable} "$@"')
    spec = spec_over_two(tmp_path)
    run = played(replace(spec, limits=Limits(max_lateness=AHEAD_S / 2 * 1e3)), cluster=launcher)
    assert run.requests["status"].tolist() == ["finished"] * 100, run.meta.message
    assert len(set((run.times[DUE] - run.requests["arrival_ns"]).tolist())) == 1, "as the driver says"


def test_a_node_with_other_code_is_refused(tmp_path: Path) -> None:
    told_otherwise = (
        "import sys; import rnb.observe.environment as one; import rnb.cluster.agent as agent;"
        " agent.environment = lambda: {**one.environment(), 'code': 'other'};"
        " sys.exit(agent.main())"
    )
    launcher = Wrapped(tmp_path, f'exec {sys.executable} -c "{told_otherwise}"')
    with pytest.raises(
        UsageError, match=r"^--cluster: node 1 differs from the driver's: code other, not \w{12}$"
    ):
        played(spec_over_two(tmp_path), cluster=launcher)


def test_a_node_where_no_agent_starts_is_named(tmp_path: Path) -> None:
    launcher = Wrapped(tmp_path, "exit 7")
    with pytest.raises(UsageError, match="--cluster: node 1: its agent ended with exit status 7"):
        played(spec_over_two(tmp_path), cluster=launcher)


def test_an_agent_that_cannot_reach_its_driver_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with listen("127.0.0.1") as listening:
        host, port = listening.getsockname()
    told = {"driver": [host, port], "token": "", "node": 1, "niceness": os.getpriority(os.PRIO_PROCESS, 0)}
    launched = LaunchedHere(json.dumps(told), folder=os.getcwd(), path=sys.path)
    launched._process.wait(60)
    assert launched.problem() == f"its agent cannot reach the driver at {host}:{port}"
    launched.end()
    assert capfd.readouterr().err == ""


def test_an_interruption_while_agents_start_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One is there and waits, and one comes when the driver is gone."""
    adopt, interruption = Supervisor.adopt, Interruption()

    def interrupt(*args: Any, **of_child: Any) -> Child:
        interruption.set()
        return adopt(*args, **of_child)

    monkeypatch.setattr(Supervisor, "adopt", interrupt)
    first = tmp_path / "first"
    launcher = Wrapped(
        tmp_path, f'mkdir "{first}" 2> /dev/null || sleep 2', f'exec {sys.executable} "$@"', num_nodes=3
    )
    steps = [{**NOTHING, "gpus": ["0:-1"]}, {**NOTHING, "gpus": ["1:-1", "2:-1"]}]
    spec = replace(spec_for(tmp_path, steps), num_nodes=3)
    run = played(spec, cluster=launcher, interruption=interruption)
    assert (run.meta.message, run.traceback) == ("interrupted", "")
    assert capfd.readouterr().err == ""


def test_an_agent_has_the_variables_that_it_is_to_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    code = f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(repr(dict(os.environ)))"
    monkeypatch.setattr("rnb.cluster.launching.COMMAND", ("-c", code))
    monkeypatch.setenv("GIVEN_HERE", "1")
    launched = LaunchedHere(
        "{}", folder=str(tmp_path), path=["a", "b"], variables={"GIVEN_HERE": None, "ONE": "2"}
    )
    launched.end()
    found = ast.literal_eval(told.read_text())
    assert "GIVEN_HERE" not in found
    assert (found["ONE"], found["PYTHONPATH"]) == ("2", f"a{os.pathsep}b")
