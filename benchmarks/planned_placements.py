"""How right optimize.py is on a machine: placements that its profile has not seen, predicted, then played.

    PYTHONPATH=. python benchmarks/planned_placements.py FOLDER -c config/r2p1d-search.json --budget 9

FOLDER keeps a profile, the placements that were drawn, and every run: a command that was cut goes on where it
was when it is given again. Once all were played they are played again: how far are equal runs apart?
A run is a burst, which tells the throughput, and then Poisson arrivals at 0.4 to 0.75 of the predicted one,
which tell the latency: one start for both. `--budget 0` plays nothing and works the predictions out anew from
what is in FOLDER, on any machine; with `--known 10`, as if the profile had had the run of placement 10, too,
which is then not judged.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prediction_errors import Figures, Row, describe, figures_of
from rnb.campaigns.campaign import RunFailed
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_USAGE
from rnb.command_line.quiet_run import play_quietly
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.pipeline.config import ConfigFile, read_config
from rnb.pipeline.step_type import asking_once
from rnb.planner.exploration import drawn
from rnb.planner.goal import Goal, of_run
from rnb.planner.profile import Profile, profile_of
from rnb.planner.profile_folder import FACTS, read, write
from rnb.planner.profiling import profile_by_runs
from rnb.planner.screening import Candidate, Simulator, candidates_of, known_forms
from rnb.planner.space import Limits, Space, Values
from rnb.planner.system import System
from rnb.record.run_folder import read as read_run
from rnb.spec import Placement, RunSpec

PROFILE, DRAWN, PLAYED, RESULT, TABLE = "profile", "drawn.json", "played.jsonl", "result.json", "table.md"
LOADS = (0.4, 0.6, 0.75)
"""Of the predicted throughput, in turn."""
NUM_LOOKED_AT, NUM_GLANCED, NUM_BEST = 300, 600, 3
"""Candidates among which those to play are drawn, requests that tell how fast each is, and how many of the
fastest are played in any case."""
FEWEST, MOST = 60, 2_500
"""Requests of a burst, and of what follows it."""


def main() -> int:
    args = parse_arguments()
    try:
        return Acceptance(args).run()
    except (UsageError, RunFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return EXIT_FAILED


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-c", "--config", default="config/r2p1d-search.json")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    parser.add_argument("--data", default="data/videos")
    parser.add_argument("--placements", type=int, default=24)
    parser.add_argument("--budget", type=float, default=9, help="minutes, of this command")
    parser.add_argument("--profile-budget", type=float, default=4, help="minutes of it, for the profile")
    parser.add_argument("--burst-seconds", type=float, default=2.5)
    parser.add_argument("--paced-seconds", type=float, default=6)
    parser.add_argument("--known", type=int, nargs="*", default=(), metavar="NUMBER")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class Acceptance:
    """What FOLDER holds, and what is still to be done."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self._folder = args, args.folder
        self._began_s = time.monotonic()
        has_profile = (self._folder / PROFILE / FACTS).exists()
        self._profile = self._known() if has_profile else Profile()
        self._simulator = Simulator(profile=self._profile, cores=args.cores)

    def run(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            if self._args.budget > 0:
                self._prepare()
                self._play_all()
        finally:
            if self._profile.runs and (self._folder / DRAWN).exists():
                self._tell()
        return 0

    def _known(self) -> Profile:
        """What the profile's runs say to the code of today, where FOLDER has them."""
        facts = json.loads((self._folder / PROFILE / FACTS).read_text(encoding="utf-8"))
        folders = [self._folder / Path(run).name for run in facts["runs"]]
        there = all(folder.is_dir() for folder in folders)
        return profile_of(map(read_run, folders)) if there else read(self._folder / PROFILE)

    @property
    def _spent_s(self) -> float:
        return time.monotonic() - self._began_s

    def _prepare(self) -> None:
        """Profile, and draw the placements, where that is not done yet."""
        if (self._folder / DRAWN).exists():
            return
        placement = Placement(device=self._args.device, queue_size=10_000)
        load = Load(data=self._args.data, mean_interval_ms=0)
        spec = RunSpec(config=read_config(self._args.config), load=load, placement=placement)
        space = Space(spec, Limits(num_gpus=self._args.gpus, cores=self._args.cores))
        print(f"{space.num_candidates:,} candidates", *space.describe(), sep="\n", flush=True)
        play = partial(play_quietly, self._profile)
        seconds = 60 * self._args.profile_budget
        profile_by_runs(self._profile, space, play, self._folder, seconds=seconds, tell=self._keep_profile)
        chosen = [self._as_data(space, one, per_s) for one, per_s in self._draw(space)]
        for number, one in enumerate(chosen):
            one["load"] = LOADS[number % len(LOADS)]
        (self._folder / DRAWN).write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")
        self._say(f"drew {len(chosen)} placements")

    def _keep_profile(self, line: str) -> None:
        """After each of its runs, as the command may be killed."""
        self._say(line)
        if self._profile.runs:
            write(self._profile, self._folder / PROFILE)

    def _draw(self, space: Space) -> Iterator[tuple[Candidate, float]]:
        """The fastest, and of the others one from each of as many classes of speed as are wanted."""
        lots = random.Random(self._args.seed)
        played = [read_run(folder) for folder in self._profile.runs]
        profiled = [(run.config, run.args["batch_size"]) for run in played]
        with asking_once():
            which = [values for values in self._some(space, lots) if _work_of(space, values) not in profiled]
            found = candidates_of(space, Goal(name="throughput"), self._simulator, which)
            for reason, count in found.ruled_out.items():
                self._say(f"ruled out: {count:,}: {reason}")
            speeds = [(self._per_s(one), one) for one in found.left]
        speeds.sort(key=lambda pair: -pair[0])
        yield from ((one, per_s) for per_s, one in speeds[:NUM_BEST])
        others = speeds[NUM_BEST:]
        num_classes = min(len(others), self._args.placements - NUM_BEST)
        for part in np.array_split(np.arange(len(others)), max(1, num_classes)):
            if len(part):
                per_s, one = others[lots.choice(part.tolist())]
                yield one, per_s

    def _per_s(self, one: Candidate) -> float:
        return of_run(self._simulator.play(one.spec, 0, one.plan, num_requests=NUM_GLANCED), one.plan).per_s

    def _some(self, space: Space, lots: random.Random) -> list[Values]:
        """Of the pipelines that are written down and that the profile knows."""
        known = known_forms(space, self._simulator)
        forms = [number for number in known if not space.forms[number].form.num_moves]
        return list(dict.fromkeys(drawn(space, forms, lots) for _ in range(NUM_LOOKED_AT)))

    def _as_data(self, space: Space, one: Candidate, per_s: float) -> dict[str, Any]:
        return {
            "changes": space.changes(one.values) or ["the config as it is"],
            "config": one.spec.config.data,
            "placement": {
                "batch_size": one.spec.placement.batch_size,
                "batch_timeout_ms": one.spec.placement.batch_timeout_ms,
            },
            "per_s": per_s,
        }

    def _chosen(self) -> list[dict[str, Any]]:
        chosen: list[dict[str, Any]] = json.loads((self._folder / DRAWN).read_text(encoding="utf-8"))
        return chosen

    def _played(self) -> list[dict[str, Any]]:
        path = self._folder / PLAYED
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def _play_all(self) -> None:
        """The one with fewest runs next, as long as one more is likely to end in time; one in any case."""
        chosen, longest_s = self._chosen(), 0.0
        counts = [sum(one["number"] == number for one in self._played()) for number in range(len(chosen))]
        while chosen and (not longest_s or self._spent_s + longest_s < 60 * self._args.budget):
            before_s, number = self._spent_s, counts.index(min(counts))
            counts[number] += 1
            found = self._play(number, chosen[number])
            longest_s = max(longest_s, self._spent_s - before_s)
            with (self._folder / PLAYED).open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            what = found.get("problem") or "{per_s:.1f}/s, p99 {p99_ms:.1f} ms".format(**found["figures"])
            self._say(f"{number} {', '.join(chosen[number]['changes'])}: {what}")

    def _play(self, number: int, one: dict[str, Any]) -> dict[str, Any]:
        spec, num_burst = self._spec(number, one, is_to_write=True)
        before_s = self._spent_s
        try:
            run = play_quietly(self._profile, spec, self._folder / "runs").run
        except (RunFailed, UsageError) as error:
            return {"number": number, "problem": str(error)}
        figures = figures_of(run, num_burst)._asdict()
        other_s = self._spent_s - before_s - run.seconds
        return {"number": number, "run": str(run.folder), "figures": figures, "other_seconds": other_s}

    def _spec(self, number: int, one: dict[str, Any], *, is_to_write: bool) -> tuple[RunSpec, int]:
        """A burst, and after it requests at a rate; gives how many are the burst."""
        args, per_s = self._args, max(1e-6, one["per_s"])
        num_burst = int(np.clip(per_s * args.burst_seconds, FEWEST, MOST))
        rate = one["load"] * per_s
        num_paced = int(np.clip(rate * args.paced_seconds, FEWEST, MOST))
        path = self._folder / f"arrivals-{number}.csv"
        if is_to_write and not path.exists():
            gaps_s = np.random.Generator(np.random.PCG64([args.seed, number])).exponential(
                1 / rate, num_paced
            )
            times_s = np.concatenate([np.zeros(num_burst), 1 + 1.5 * num_burst / per_s + np.cumsum(gaps_s)])
            path.write_text("\n".join(f"{time_s:.6f}" for time_s in times_s) + "\n", encoding="utf-8")
        load = Load(
            data=args.data, arrivals="trace", arrivals_file=str(path), videos=None, mean_interval_ms=None
        )
        placement = Placement(device=args.device, queue_size=10_000, **one["placement"])
        config = ConfigFile(path=args.config, data=one["config"])
        return RunSpec(config=config, load=load, placement=placement), num_burst

    def _predict(self, number: int, one: dict[str, Any]) -> Figures:
        spec, num_burst = self._spec(number, one, is_to_write=False)
        system = System.of(spec, self._simulator)
        return figures_of(self._simulator.play_as_asked(system.spec, system.plan), num_burst)

    def _tell(self) -> None:
        chosen, played = self._chosen(), self._played()
        for one in played:
            if one["number"] in self._args.known and "run" in one:
                self._profile.add(read_run(self._folder / "runs" / Path(one["run"]).name))
        played = [one for one in played if one["number"] not in self._args.known]
        rows = []
        for number, one in enumerate(chosen):
            runs = [
                Figures(**each["figures"]) for each in played if each["number"] == number and "run" in each
            ]
            if runs:
                rate = one["load"] * one["per_s"]
                changes = ", ".join(one["changes"])
                rows.append(Row(changes, self._predict(number, one), runs, rate))
        problems = [one for one in played if "problem" in one]
        lines, figures = describe(rows)
        lines += [f"{', '.join(chosen[one['number']]['changes'])}: {one['problem']}" for one in problems]
        print("\n".join(lines), flush=True)
        (self._folder / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self._folder / RESULT).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

    def _say(self, line: str) -> None:
        print(f"{self._spent_s:.0f} s: {line}", flush=True)


def _work_of(space: Space, values: Values) -> tuple[Any, int]:
    """What tells a placement from one that was profiled."""
    try:
        spec = space.spec_of(values)
    except UsageError:  # it is ruled out later
        return None, 0
    return spec.config.data, spec.placement.batch_size


if __name__ == "__main__":
    sys.exit(main())
