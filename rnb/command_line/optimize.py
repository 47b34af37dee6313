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
from rnb.planner.exploration import explore
from rnb.planner.finding import SearchFinding
from rnb.planner.goal import P99_WITHIN, Goal, of_run
from rnb.planner.memory import BEST, Memory
from rnb.planner.origin import origin_now
from rnb.planner.page.search_page import write_search_page
from rnb.planner.plan_text import flags_of, result_lines, shown
from rnb.planner.profiling import profile_by_runs, work_of
from rnb.planner.screening import CANNOT_WIN, Candidate, Simulator
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


MOST_REFINEMENTS = 3


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
        self._played = self._memory.played()
        self._rejected: dict[Values, str] = {}
        """Those that were played and do not count, and why."""
        self._num_requests = next(
            (run.args["videos"] for runs in self._played.values() for run in runs), None
        )
        """Of a run; the same in all, so that they can be compared."""
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
        except (KeyboardInterrupt, RunFailed, UsageError):
            if self._known:
                self._tell()
            if self._profile.runs:
                console.say(f"to go on: python optimize.py --resume {self._memory.folder}")
            raise
        self._tell()
        return EXIT_OK

    def _make_profile(self) -> None:
        if self._profile.runs:
            now = origin_now(self._space.spec, self._profile.origin)
            self._profile.check(now, "this machine")
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
        found = explore(
            self._space,
            self._goal,
            self._simulator,
            known=self._known,
            until_s=max(self._at(SCREEN_SHARE), began_s + LEAST_SCREENING * 60 * self._args.budget),
            tell=self._memory.keep_screened,
        )
        self._ruled_out = found.ruled_out
        for reason, count in found.ruled_out.items():
            console.say(f"ruled out: {count:,}: {reason}")
        if not found.left:
            raise UsageError(f"no candidate is left for --goal {self._goal.name}")
        num_seen = len(found.left) + sum(found.ruled_out.values()) - found.ruled_out.get(CANNOT_WIN, 0)
        console.say(
            f"worked out: {len(self._known) - num_before:,} of {num_seen:,} that were looked at, in"
            f" {time.monotonic() - began_s:.1f} s"
        )
        self._choose({one.values: one for one in found.left})

    def _choose(self, left: dict[Values, Candidate]) -> None:
        """The config as it is, the best of the others, and those that were played before."""
        start, other_work = self._space.start, {self._work(values) for values in self._rejected}
        if start in left:
            self._known[start] = self._simulator.predict(self._goal, left[start])
        candidates = [values for values in self._known if values in left and values != start]
        best = sorted(candidates, key=self._rank)
        self._check_goal(best + [start] * (start in left))
        may_be_played = [values for values in best if self._work(values) not in other_work]
        order = [start] * (start in left) + may_be_played[:NUM_VERIFIED]
        order += [values for values in self._played if values in left and values not in order]
        self._chosen = [self._verified(left[values]) for values in order]

    def _work(self, values: Values) -> tuple[object, ...]:
        """What its calls do, wherever they are."""
        return work_of(self._space, values)

    def _verified(self, candidate: Candidate) -> Verified:
        """With the runs that it has under the load that the candidates are played with."""
        best = min(self._known.values(), key=self._goal.rank)
        interval_ms = self._goal.load(candidate.spec, best).load.mean_interval_ms or 0
        runs = [
            run
            for run in self._played.get(candidate.values, [])
            if run.args.get("mean_interval_ms") == interval_ms
        ]
        predicted = self._known[candidate.values]
        if self._goal.name == "rate":
            run = self._simulator.play(candidate.spec, interval_ms)
            predicted = of_run(run, candidate.plan)
        problem = self._rejected.get(candidate.values, "")
        return Verified(candidate=candidate, predicted=predicted, runs=runs, problem=problem)

    def _check_goal(self, best: Sequence[Values]) -> None:
        """Raises UsageError where even the nearest is further from the bound than predictions may be off."""
        nearest = min(best, key=self._rank, default=None)
        if nearest is None or self._goal.slo is None:
            return
        found = self._known[nearest]
        if found.p99_ms > (1 + P99_WITHIN) * self._goal.slo or not found.per_s:
            what = ", ".join(self._space.changes(nearest)) or "the config as it is"
            raise UsageError(
                f"--goal {self._goal.name}: no candidate keeps a p99 of {self._goal.slo:g} ms; the nearest,"
                f" {what}, has {found.p99_ms:.4g} ms (simulated)"
            )

    def _rank(self, values: Values) -> tuple[float, ...]:
        return self._goal.rank(self._known[values])

    def _verify(self) -> None:
        """A round; where predictions are off, what was measured goes into the profile, and others may be the
        best ones; then more rounds of those."""
        for _ in range(MOST_REFINEMENTS):
            self._play_rounds(1)
            if not self._refine():
                break
        self._play_rounds(NUM_ROUNDS)

    def _play_rounds(self, num_rounds: int) -> None:
        left_s = max(0.0, self._ends_s - time.monotonic())
        if self._num_requests is None:
            seconds = min(MOST_SECONDS, left_s / NUM_ROUNDS / len(self._chosen))
            slowest = min(one.predicted.per_s for one in self._chosen)
            self._num_requests = max(FEWEST, int(seconds * slowest))
        verify(
            self._chosen,
            self._goal,
            partial(play_quietly, self._profile),
            self._memory.folder,
            num_requests=self._num_requests,
            num_rounds=num_rounds,
            has_time=lambda: time.monotonic() < self._ends_s,
            min_agreement=self._args.min_agreement,
            tell=self._tell_run,
        )
        for one in self._chosen:
            if one.problem and one.candidate.values not in self._rejected:
                self._rejected[one.candidate.values] = one.problem
                console.say(f"ruled out: {shown(self._space, one)}: {one.problem}")

    def _refine(self) -> bool:
        """Whether other candidates are the best ones now, and there is time to play them."""
        off = [one for one in self._chosen if one.runs and self._goal.is_off(one.error(self._goal))]
        has_new_problem = any(one.problem for one in self._chosen)
        if time.monotonic() > self._ends_s or not (off or has_new_problem):
            return False
        if off:
            names = "; ".join(shown(self._space, one) for one in off)
            console.say(f"the prediction is off for: {names}. These runs go into the profile")
            for run in (run for one in self._chosen for run in one.runs):
                if str(run.folder) not in self._profile.runs:
                    self._profile.add(run)
            self._memory.keep_profile(self._profile)
            self._known.clear()
            self._memory.forget_screened()
        self._screen()
        return any(not one.runs and not one.problem for one in self._chosen)

    def _tell_run(self, one: Verified) -> None:
        self._memory.keep_played(one.candidate.values, one.runs[-1])
        self._played.setdefault(one.candidate.values, []).append(one.runs[-1])
        name, measured = self._goal.figure(of_run(one.runs[-1], one.candidate.plan))
        error = one.error_of_last(self._goal)
        off = "" if error is None else f", predicted {self._goal.figure(one.predicted)[1]:.4g} ({error:+.1%})"
        console.say(f"played: {shown(self._space, one)}: {name} {measured:.4g}{off}")

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
        "problem": one.problem,
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
