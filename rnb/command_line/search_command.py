"""A search of optimize.py: profile, screen, verify, refine, until the budget is used."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rnb.campaigns.campaign import RunFailed, create
from rnb.campaigns.outcome import Outcome
from rnb.command_line.exit_status import EXIT_OK
from rnb.command_line.quiet_run import play_quietly
from rnb.command_line.search_result import tell_finding
from rnb.contract.termination import UsageError
from rnb.planner.exploration import explore
from rnb.planner.finding import SearchFinding
from rnb.planner.goal import P99_WITHIN, Goal, of_run
from rnb.planner.memory import Memory
from rnb.planner.origin import origin_now
from rnb.planner.plan_text import shown
from rnb.planner.profiling import profile_by_runs, work_of
from rnb.planner.screening import CANNOT_WIN, Candidate, Simulator
from rnb.planner.sources import add_sources
from rnb.planner.space import Limits, Space, Values
from rnb.planner.verification import Verified, verify, winner
from rnb.show import console
from rnb.show.page.destination import FILE_NAME
from rnb.spec import RunSpec

PROFILE_SHARE, SCREEN_SHARE = 0.35, 0.65
"""Of the budget: by when the profile is to be done, and by when the candidates are."""
LEAST_SCREENING = 0.2
"""Of the budget, for the candidates, however long the profile took."""
NUM_VERIFIED, NUM_ROUNDS, MOST_SECONDS, FEWEST = 3, 3, 20.0, 24
"""How many of the best are played, how often, how long a run takes at most, and its fewest requests."""
LEAST_SHARE = 0.3
"""Of what it takes to start a run, for its requests."""
MOST_REFINEMENTS = 3
"""How often measured runs may go into the profile, and others be played."""


class Search:
    """One search, from the start or where it was left. Raises UsageError."""

    def __init__(self, args: argparse.Namespace, spec: RunSpec) -> None:
        self._args, self._ends_s = args, time.monotonic() + 60 * args.budget
        self._goal = Goal(name=args.goal, rate=args.rate, slo=args.slo)
        self._space = Space(spec, Limits(num_gpus=args.gpus, cores=args.cores))
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
        self._start_up_s = 0.0
        """What the last run took beside its requests."""
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
                self._play,
                self._memory.folder,
                seconds=self._at(PROFILE_SHARE) - time.monotonic(),
                tell=console.say,
            )
        finally:
            if self._profile.runs:
                self._memory.keep_profile(self._profile)

    def _play(self, spec: RunSpec, logs: Path) -> Outcome:
        """Raises UsageError, RunFailed, KeyboardInterrupt."""
        began_s = time.monotonic()
        outcome = play_quietly(self._profile, spec, logs)
        self._start_up_s = max(0.0, time.monotonic() - began_s - outcome.run.seconds)
        return outcome

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
        for values in (start, *self._played):  # also those that cannot be the best any more
            if values in left and (values == start or values not in self._known):
                self._known[values] = self._simulator.predict(self._goal, left[values])
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
            each_s = left_s / NUM_ROUNDS / len(self._chosen) - self._start_up_s
            seconds = min(MOST_SECONDS, max(each_s, LEAST_SHARE * self._start_up_s))
            slowest = min(one.predicted.per_s for one in self._chosen)
            self._num_requests = max(FEWEST, int(seconds * slowest))
        verify(
            self._chosen,
            self._goal,
            self._play,
            self._memory.folder,
            num_requests=self._num_requests,
            num_rounds=num_rounds,
            has_time=lambda: time.monotonic() + self._start_up_s < self._ends_s,
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
        is_played = any(one.runs and not one.problem for one in self._chosen)
        found = SearchFinding(
            space=self._space,
            goal=self._goal,
            simulator=self._simulator,
            ruled_out=self._ruled_out,
            worked_out=self._known,
            chosen=self._chosen,
            best=winner(self._chosen, self._goal) if is_played else None,
        )
        tell_finding(found, self._memory, Path(self._args.html or self._memory.folder / FILE_NAME))
