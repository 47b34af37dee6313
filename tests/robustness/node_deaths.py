"""Kills replicas on three nodes at random while requests play: nothing may be lost, and nothing twice."""

from __future__ import annotations

import itertools
import os
import random
import uuid
from collections.abc import Sequence
from pathlib import Path

from rnb.record.run import Run
from tests.robustness.attack import Outcome
from tests.robustness.deaths import DeathAttack, Shooter, check_events, check_served, steps_of
from tests.robustness.drawn_pipeline import DrawnPipeline
from tests.robustness.pipelines import check_requests
from tests.robustness.quick_fabric import QuickFabric
from tests.support.leftovers import pids_with, read
from tests.support.running import MARK


class NodeDeathAttack(DeathAttack):
    """A case is a drawn pipeline whose replicas are spread over nodes that are all this machine."""

    long_run = 30
    num_requests = 3_000
    num_nodes = 3

    def __init__(self, folder: Path) -> None:
        os.environ[MARK] = uuid.uuid4().hex  # of all that this process starts from now on
        super().__init__(folder)

    def drawn(self, seed: int, log: str, lots: random.Random) -> DrawnPipeline:
        drawn = self._drawn_by_node(seed, log, lots)
        for step in steps_of(drawn):
            for group in step.get("queue_groups", [step]):
                group["gpus"] = [f"{lots.randrange(self.num_nodes)}:{gpu}" for gpu in group["gpus"]]
        first = steps_of(drawn)[0]
        places = first.get("queue_groups", [first])[0]["gpus"]
        places[0] = f"{self.num_nodes - 1}:0"  # so there are as many nodes
        return drawn

    def _drawn_by_node(self, seed: int, log: str, lots: random.Random) -> DrawnPipeline:
        """The first from there on whose queues are not one for each GPU, which knows one machine."""
        found = (DeathAttack.drawn(self, number, log, lots) for number in itertools.count(100 * abs(seed)))
        return next(one for one in found if not one.placement.get("per_gpu_queue"))

    def fabric(self) -> QuickFabric:
        return GrantingFabric()

    def shooter(self, lots: random.Random) -> Shooter:
        return ShooterOnNodes(lots)

    def check(self, outcome: Outcome, drawn: DrawnPipeline, run: Run, log: Path) -> None:
        check_requests(outcome, drawn, run)
        check_served(outcome, drawn, log, run.requests["attempts"].tolist())
        check_events(outcome, run, self.retries)


class GrantingFabric(QuickFabric):
    """Slots in which messages of other nodes may arrive are given to those, and stay so."""

    def slots_kept(self) -> Sequence[str]:
        return [f"{pool._holders}" for pool in self.pools if (pool._holders < -1).any()]


class ShooterOnNodes(Shooter):
    """Meets the replicas of all nodes, once these know of the start: until then a death ends the run."""

    lead_s = 1.0

    def targets(self) -> list[int]:
        marked = pids_with(f"{MARK}={os.environ[MARK]}")
        return sorted({pid for pid in marked if is_replica(pid)} | set(super().targets()))


def is_replica(pid: int) -> bool:
    return read(f"/proc/{pid}/comm").startswith("rnb step")
