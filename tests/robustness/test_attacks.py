"""A slice of each attack, and proof that each would notice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.robustness import command
from tests.robustness.attack import Attack, Fault, Outcome
from tests.robustness.command import call, judge
from tests.robustness.configs import ConfigAttack
from tests.robustness.deaths import DeathAttack, steps_of
from tests.robustness.drawn_pipeline import DrawnPipeline, draw
from tests.robustness.engine import attack
from tests.robustness.flags import FlagAttack
from tests.robustness.folders import FolderAttack
from tests.robustness.kills import SHOTS, KillAttack, case_of
from tests.robustness.kills import judge as judge_kill
from tests.robustness.node_deaths import NodeDeathAttack
from tests.robustness.pipelines import PipelineAttack
from tests.robustness.videos import Ask, VideoAttack
from tests.support.running import Finished

PLANTED = -1
"""The seed of a case with a fault that was put there."""


class PipelinesAndALie(PipelineAttack):
    """One pipeline gives a wrong result for a request, and serves another one twice, as its notes say."""

    def play(self, seed: int) -> Outcome:
        if seed != PLANTED:
            return super().play(seed)
        log = self.folder / "planted.log"
        drawn = draw(1, str(log))
        config = drawn.config if isinstance(drawn.config, list) else drawn.config["pipeline"]
        config[0]["lies_about"] = 0
        return self.play_drawn(drawn, log)


class DeathsAndALie(DeathAttack):
    """In one case a request has a wrong result."""

    num_requests = 1500
    lies_about = 700

    def drawn(self, seed: int, log: str, lots: random.Random) -> DrawnPipeline:
        drawn = super().drawn(seed, log, lots)
        if seed == PLANTED:
            steps_of(drawn)[0]["lies_about"] = self.lies_about
        return drawn


class NodeDeathsAndALie(DeathsAndALie, NodeDeathAttack):
    """The same over three nodes."""

    num_requests = 500
    lies_about = 300


class VideosAndAMemory(VideoAttack):
    """In one case the answers depend on what was asked before."""

    limit_s = 20

    def play(self, seed: int) -> Outcome:
        self._is_planted = seed == PLANTED
        return super().play(seed)

    def decode(self, asks: Sequence[Ask]) -> list[str]:
        if not self._is_planted:
            return super().decode(asks)
        return [f"{len(asks)} requests in all" for _ in asks]


def faults_of(kind: type[Attack], seeds: Sequence[int]) -> dict[int, set[Fault]]:
    """The cases with faults; what those are is printed."""
    played = dict(attack(kind, seeds))
    assert sorted(played) == sorted(seeds)
    faulty = {seed: outcome for seed, outcome in played.items() if outcome.faults}
    print(faulty)
    return {seed: {fault for fault, _ in outcome.faults} for seed, outcome in faulty.items()}


def test_some_pipelines() -> None:
    assert faults_of(PipelinesAndALie, [PLANTED, *range(1, 6)]) == {PLANTED: {Fault.WRONG}}


def test_some_deaths() -> None:
    assert faults_of(DeathsAndALie, [PLANTED, 1, 2]) == {PLANTED: {Fault.WRONG}}


@pytest.mark.slow
def test_some_deaths_on_nodes() -> None:
    assert faults_of(NodeDeathsAndALie, [PLANTED, 1]) == {PLANTED: {Fault.WRONG}}


def test_some_videos() -> None:
    assert faults_of(VideosAndAMemory, [PLANTED, *range(20)]) == {PLANTED: {Fault.WRONG}}


@pytest.mark.parametrize(("kind", "num_cases"), [(ConfigAttack, 60), (FlagAttack, 30), (FolderAttack, 30)])
def test_some_input(kind: type[Attack], num_cases: int) -> None:
    assert faults_of(kind, range(num_cases)) == {}


def test_some_kills() -> None:
    shots = [("runner", "call", "exit"), ("driver", "call", "SIGTERM")]
    assert faults_of(KillAttack, [SHOTS.index(shot) for shot in shots]) == {}


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (1, "benchmark.py: step 0.0 failed: ArithmeticError: this is on purpose\n", {Fault.LOST}),
        (1, "benchmark.py: step 1.0 failed\n", {Fault.LOST, Fault.WRONG}),
        (1, "", {Fault.LOST, Fault.WRONG}),
        (0, "", {Fault.LOST, Fault.WRONG}),
    ],
)
def test_a_run_that_ends_otherwise_than_promised(
    status: int, said: str, expected: set[Fault], tmp_path: Path
) -> None:
    case, outcome = case_of(("runner", "call", "raise"), random.Random(0), tmp_path), Outcome("")
    said = said.replace("step 0", f"step {case.step}").replace("step 1.0 failed\n", "step 9.0 failed\n")
    run = Finished(status=status, out="", err=said, folder=None, seconds_to_end=1, was_signalled=False)
    judge_kill(outcome, case, tmp_path, run, 1)
    assert {fault for fault, _ in outcome.faults} == expected


@pytest.mark.parametrize(
    ("status", "out", "err", "expected"),
    [
        (0, "a plan", "", set()),
        (2, "", "one line\n", set()),
        (0, "", "", {Fault.WRONG}),
        (0, "a plan", "a warning\n", {Fault.WRONG}),
        (2, "", "one line\nand another\n", {Fault.WRONG}),
        (7, "", "one line\n", {Fault.WRONG}),
    ],
)
def test_a_command_that_answers_oddly(
    status: int, out: str, err: str, expected: set[Fault], capsys: pytest.CaptureFixture[str]
) -> None:
    def main(argv: Sequence[str]) -> int:
        import sys

        sys.stdout.write(out)
        sys.stderr.write(err)
        return status

    outcome = Outcome("")
    judge(outcome, call(main, []))
    assert {fault for fault, _ in outcome.faults} == expected
    assert capsys.readouterr() == ("", "")


def test_a_command_that_fails_or_takes_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MOST_BYTES", 1 << 25)

    def fail(argv: Sequence[str]) -> int:
        return 1 // 0

    def take(argv: Sequence[str]) -> int:
        return len(bytearray(b"x") * (1 << 27)) * 0

    failing, greedy = Outcome(""), Outcome("")
    judge(failing, call(fail, []))
    judge(greedy, call(take, []))
    assert {fault for fault, _ in failing.faults} == {Fault.TRACEBACK}
    assert Fault.GREEDY in {fault for fault, _ in greedy.faults}
