"""Runs the attacks for long and prints a table of what they found: make torture.

One case again, with what went wrong in it: python -m tests.robustness videos --seed 1234 --cases 1
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.robustness.agent_deaths import AgentDeathAttack
from tests.robustness.attack import Attack, Fault, Outcome
from tests.robustness.configs import ConfigAttack
from tests.robustness.deaths import DeathAttack
from tests.robustness.engine import attack
from tests.robustness.flags import FlagAttack
from tests.robustness.folders import FolderAttack
from tests.robustness.kills import KillAttack
from tests.robustness.node_deaths import NodeDeathAttack
from tests.robustness.pipelines import PipelineAttack
from tests.robustness.videos import VideoAttack

ATTACKS: dict[str, type[Attack]] = {
    "pipelines": PipelineAttack,
    "kills": KillAttack,
    "deaths": DeathAttack,
    "node-deaths": NodeDeathAttack,
    "agent-deaths": AgentDeathAttack,
    "configs": ConfigAttack,
    "flags": FlagAttack,
    "folders": FolderAttack,
    "videos": VideoAttack,
}
MOST_SHOWN = 20
"""Cases with faults of one attack, in full."""


def main() -> int:
    parser = _parser()
    args = parser.parse_args()
    if unknown := set(args.attacks) - set(ATTACKS):
        parser.error(f"{', '.join(sorted(unknown))}: must be of {', '.join(ATTACKS)}")
    print(_row("attack", ["cases", *Fault, "seconds"]), flush=True)
    kinds, num_faulty = dict[str, Counter[str]](), 0
    for name in args.attacks or ATTACKS:
        kinds[name], faulty = _run(name, args)
        num_faulty += faulty
    for name, counted in kinds.items():
        print(f"{name}: " + ", ".join(f"{count} {kind}" for kind, count in counted.most_common()))
    return 1 if num_faulty else 0


def _run(name: str, args: argparse.Namespace) -> tuple[Counter[str], int]:
    """Play an attack and print its row; returns its cases by kind, and how many of them had faults."""
    kind, started, num_faulty = ATTACKS[name], time.monotonic(), 0
    seeds = range(args.seed, args.seed + (args.cases or kind.long_run))
    kinds, faults = Counter[str](), Counter[Fault]()
    for seed, outcome in attack(kind, seeds, processes=args.processes, seconds=args.seconds):
        kinds[outcome.kind] += 1
        faults.update({fault for fault, _ in outcome.faults})
        if outcome.faults:
            num_faulty += 1
            if num_faulty <= MOST_SHOWN:
                _explain(name, seed, outcome)
    seconds = round(time.monotonic() - started)
    print(_row(name, [kinds.total(), *(faults[fault] for fault in Fault), seconds]), flush=True)
    return kinds, num_faulty


def _explain(name: str, seed: int, outcome: Outcome) -> None:
    print(f"FAULT: python -m tests.robustness {name} --seed {seed} --cases 1", file=sys.stderr)
    for fault, why in outcome.faults:
        print(f"  {fault}: {why}", file=sys.stderr)
    print(f"  {outcome.about}", file=sys.stderr, flush=True)


def _row(name: str, cells: list[object]) -> str:
    return f"{name:<10}" + "".join(f"{cell!s:>{max(9, len(str(cell)) + 2)}}" for cell in cells)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.robustness", description="Attack RnB, and count what breaks."
    )
    parser.add_argument(
        "attacks",
        nargs="*",
        choices=[*ATTACKS, []],
        metavar="ATTACK",
        help=f"default: all of {', '.join(ATTACKS)}",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="that of the first case; the others count up from it"
    )
    parser.add_argument("--cases", type=int, help="of each attack; default: those of a long run")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each attack, at most")
    parser.add_argument("--processes", type=int, default=2, help="that play cases side by side")
    return parser


if __name__ == "__main__":
    sys.exit(main())
