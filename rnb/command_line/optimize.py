"""optimize.py: finds the placement of a pipeline that serves a goal best."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rnb.campaigns.campaign import RunFailed, create
from rnb.command_line.exit_status import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from rnb.command_line.explain_command import explain_config
from rnb.command_line.optimize_flags import parse_args
from rnb.command_line.quiet_run import play_quietly
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.pipeline.config import read_config
from rnb.planner.explanation import explain
from rnb.planner.finding import SearchFinding
from rnb.planner.goal import Goal
from rnb.planner.memory import BEST, Memory
from rnb.planner.page.search_page import write_search_page
from rnb.planner.plan_text import flags_of, result_lines, shown
from rnb.planner.profiling import profile_by_runs
from rnb.planner.screening import CANNOT_WIN, Candidate, Simulator, candidates_of, screen
from rnb.planner.sources import add_sources
from rnb.planner.space import Limits, Space, Values
from rnb.planner.system import System
from rnb.planner.verification import Verified, verify, winner
from rnb.processes.child import resume_garbage_collection
from rnb.record.run_folder import RunFolderError
from rnb.show import console
from rnb.show.page.destination import FILE_NAME
from rnb.show.page.page import PageError
from rnb.spec import Placement, RunSpec

PROFILE_SHARE, SCREEN_SHARE = 0.35, 0.65
"""Of the budget: by when the profile is to be done, and by when the candidates are."""
LEAST_SCREENING = 0.2
"""Of the budget, for the candidates, however long the profile took."""
NUM_VERIFIED, NUM_ROUNDS, MOST_SECONDS, FEWEST = 3, 3, 20.0, 24
"""How many of the best are played, how often, how long a run takes at most, and its fewest requests."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the flags ask for; returns the exit status."""
    args = parse_args(argv)
    console.configure(program="optimize.py", quiet=args.quiet, json=args.json)
    resume_garbage_collection()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if args.explain is not None or args.what_if:
            return explain_config(args, spec_of(args))
        return _Search(args).run()
    except (UsageError, RunFolderError) as error:
        console.complain(f"error: {error}")
        return EXIT_USAGE
    except (RunFailed, PageError) as error:
        console.complain(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        console.complain("interrupted")
        return EXIT_FAILED


class _Search:
    """One search, from the start or where it was left. Raises UsageError."""

    def __init__(self, args: argparse.Namespace) -> None:
        if args.resume is not None:
            asked = {
                **Memory(Path(args.resume)).search(),
                "budget": args.budget,
                "resume": args.resume,
                "html": args.html,
            }
            args = argparse.Namespace(**{**vars(args), **asked})
        self._args, self._ends_s = args, time.monotonic() + 60 * args.budget
        self._goal = Goal(name=args.goal, rate=args.rate, slo=args.slo)
        self._space = Space(spec_of(args), Limits(num_gpus=args.gpus, cores=args.cores))
        folder = Path(args.resume) if args.resume else create(Path(args.logs), "optimize")
        self._memory = Memory(folder)
        if not args.resume:
            self._memory.keep_search(vars(args))
        self._profile = self._memory.profile()
        self._simulator = Simulator(profile=self._profile, cores=args.cores)
        self._known = self._memory.screened()
        self._chosen: list[Verified] = []
        self._ruled_out: Mapping[str, int] = {}

    def _at(self, share: float) -> float:
        """When so much of the budget is used."""
        return float(self._ends_s - 60 * self._args.budget * (1 - share))

    def run(self) -> int:
        """Profile, screen, verify. What is known is told also where it does not come to an end."""
        console.say(f"{self._space.num_candidates:,} candidates; results in {self._memory.folder}")
        for line in self._space.describe():
            console.say(line)
        try:
            self._make_profile()
            self._screen()
            self._verify()
        except (KeyboardInterrupt, RunFailed):
            if self._known:
                self._tell()
            console.say(f"to go on: python optimize.py --resume {self._memory.folder}")
            raise
        self._tell()
        return EXIT_OK

    def _make_profile(self) -> None:
        add_sources(self._profile, self._args.profile)
        try:
            profile_by_runs(
                self._profile,
                self._space,
                partial(play_quietly, self._profile),
                self._memory.folder,
                seconds=self._at(PROFILE_SHARE) - time.monotonic(),
                tell=console.say,
            )
        finally:
            if self._profile.runs:
                self._memory.keep_profile(self._profile)

    def _screen(self) -> None:
        began_s, num_before = time.monotonic(), len(self._known)
        found = candidates_of(self._space, self._profile, self._goal, self._simulator)
        self._ruled_out = found.ruled_out
        for reason, count in found.ruled_out.items():
            console.say(f"ruled out: {count:,}: {reason}")
        if not found.left:
            raise UsageError(f"no candidate is left for --goal {self._goal.name}")
        for _ in screen(
            found,
            self._goal,
            self._simulator,
            known=self._known,
            until_s=max(self._at(SCREEN_SHARE), began_s + LEAST_SCREENING * 60 * self._args.budget),
            tell=self._memory.keep_screened,
        ):
            pass
        seconds = time.monotonic() - began_s
        skipped = found.ruled_out.get(CANNOT_WIN, 0)
        console.say(
            f"worked out: {len(self._known) - num_before:,} of {len(found.left):,} in {seconds:.1f} s,"
            f" {skipped:,} more cannot be better than the best of them"
        )
        self._choose({one.values: one for one in found.left})

    def _choose(self, left: dict[Values, Candidate]) -> None:
        """The config as it is, and the best of the others."""
        best = sorted((values for values in self._known if values in left), key=self._rank)
        start = self._space.start
        if start in left and start not in self._known:
            self._known[start] = self._simulator.predict(self._goal, left[start])
        order = ([start] if start in left else []) + [values for values in best if values != start]
        played = self._memory.played()
        self._chosen = [
            Verified(candidate=left[values], predicted=self._known[values], runs=played.get(values, []))
            for values in order[: NUM_VERIFIED + 1]
        ]

    def _rank(self, values: Values) -> tuple[float, ...]:
        return self._goal.rank(self._known[values])

    def _verify(self) -> None:
        left_s = max(0.0, self._ends_s - time.monotonic())
        seconds = min(MOST_SECONDS, left_s / NUM_ROUNDS / len(self._chosen))
        slowest = min(one.predicted.per_s for one in self._chosen)
        verify(
            self._chosen,
            self._goal,
            partial(play_quietly, self._profile),
            self._memory.folder,
            num_requests=max(FEWEST, int(seconds * slowest)),
            num_rounds=NUM_ROUNDS,
            has_time=lambda: time.monotonic() < self._ends_s,
            tell=self._tell_run,
        )

    def _tell_run(self, one: Verified) -> None:
        self._memory.keep_played(one.candidate.values, one.runs[-1])
        name, per_run = self._goal.figure(one.measured or one.predicted)
        console.say(f"played: {shown(self._space, one)}: {name} {per_run:.4g} (mean of {len(one.runs)})")

    def _tell(self) -> None:
        """The table, the best one's config, and how to run it."""
        if not self._chosen:
            best = min(self._known, key=self._rank)
            console.conclude(f"best so far (simulated): {', '.join(self._space.changes(best)) or 'as it is'}")
            self._draw(None)
            return
        console.conclude("\n".join(result_lines(self._chosen, self._goal, self._space)))
        if not any(one.runs for one in self._chosen):
            self._draw(None)
            return
        best_one = winner(self._chosen, self._goal)
        path = self._memory.write_json(BEST, best_one.candidate.spec.config.data)
        command = f"python benchmark.py -c {path} {flags_of(best_one.candidate.spec)}".rstrip()
        console.conclude(f"\nbest: {shown(self._space, best_one)}\nrun it: {command}")
        if best_one.measured and not self._goal.is_met(best_one.measured):
            p99_ms = best_one.measured.p99_ms
            console.conclude(
                f"as measured it does not keep {self._goal.slo:g} ms: its p99 is {p99_ms:.4g} ms"
            )
        self._draw(best_one)
        console.emit(
            {
                "folder": str(self._memory.folder),
                "page": str(self._page),
                "config": str(path),
                "command": command,
                "candidates": [_as_json(one, self._goal, self._space) for one in self._chosen],
            }
        )

    @property
    def _page(self) -> Path:
        return Path(self._args.html or self._memory.folder / FILE_NAME)

    def _draw(self, best: Verified | None) -> None:
        """The page, with why the best, or what is predicted to be, is as fast as it is. Raises PageError."""
        spec = best.candidate.spec if best else self._space.spec_of(min(self._known, key=self._rank))
        found = SearchFinding(
            space=self._space,
            goal=self._goal,
            simulator=self._simulator,
            ruled_out=self._ruled_out,
            worked_out=self._known,
            chosen=self._chosen,
            best=best,
            explanation=explain(System.of(spec, self._simulator)),
        )
        write_search_page(self._page, found)
        console.say(f"page: {self._page}")


def _as_json(one: Verified, goal: Goal, space: Space) -> dict[str, object]:
    return {
        "changes": space.changes(one.candidate.values),
        "predicted": one.predicted.to_json(),
        "measured": one.measured.to_json() if one.measured else None,
        "error": one.error(goal),
        "verdict": one.contrast.verdict if one.contrast else None,
        "runs": [str(run.folder) for run in one.runs],
    }


def spec_of(args: argparse.Namespace) -> RunSpec:
    """The config as it is. Raises UsageError."""
    return RunSpec(
        config=read_config(args.config_file_path),
        load=Load(data=args.data, seed=args.seed, videos=FEWEST, mean_interval_ms=0),
        placement=Placement(
            batch_size=args.batch_size, device=args.device, checkpoint=args.checkpoint, queue_size=10_000
        ),
    )
