"""Kills agents, bridges and replicas of three nodes at random, also while others come in their place: nothing
may be lost, and nothing twice."""

from __future__ import annotations

import os
import random

from tests.robustness.deaths import Shooter
from tests.robustness.node_deaths import NodeDeathAttack, ShooterOnNodes, is_replica
from tests.support.leftovers import pids_with, read
from tests.support.running import MARK


class AgentDeathAttack(NodeDeathAttack):
    """A case is one of a NodeDeathAttack with more deaths."""

    long_run = 20

    def shooter(self, lots: random.Random) -> Shooter:
        return ShooterAtNodes(lots)


class ShooterAtNodes(ShooterOnNodes):
    """Agents, bridges and replicas are met equally often, however many there are."""

    most_shots = 2
    share = 1 / 4
    pause_s = 4.0
    """So that some meet nodes which are about to join."""

    def targets(self) -> list[int]:
        marked = sorted(pids_with(f"{MARK}={os.environ[MARK]}"))
        kinds = [
            [pid for pid in marked if "rnb.cluster.agent" in read(f"/proc/{pid}/cmdline").split("\0")],
            [pid for pid in marked if read(f"/proc/{pid}/comm").startswith("rnb bridge")],
            [pid for pid in marked if is_replica(pid)],
        ]
        return self._lots.choice([kind for kind in kinds if kind] or [[]])
