"""Command lines that nobody would type, of benchmark.py and compare.py."""

from __future__ import annotations

import json
import random
from pathlib import Path

from rnb.command_line import benchmark, compare
from tests.robustness.attack import Attack, Outcome
from tests.robustness.command import call, judge
from tests.robustness.kept_run import make_run

NUMBERS = (
    "0", "1", "-1", "2", "3.5", "1e3", "1e-300", "1e308", "1e400", "-0", "nan", "inf", "-inf", "0x10",
    "1_000", "٣", "", " 7", "10000", "99999999999999999999", "1e18",
)  # fmt: skip
TEXTS = (
    "",
    "é",
    "\x00",
    "a b",
    "-",
    "--",
    "None",
    "💥",
    "x" * 3000,
    "../..",
    "/dev/null",
    "/proc/self/mem",
    "=",
    "%s",
)
FLAGS = (
    "-mi", "--mean_interval_ms", "-v", "--videos", "--duration", "--warmup", "--arrivals", "--burstiness",
    "--arrivals-file", "--ramp", "--replay", "--clients", "--data", "--seed", "-c", "-p", "-qs", "-b", "-bt",
    "--device", "--mps", "--checkpoint", "--slo", "--percentile", "--min-duration", "--max-failures",
    "--repeat", "--find-peak", "--logs", "--quiet", "--json", "--html", "--trace", "--occupancy", "--observe",
    "--no-telemetry",
)  # fmt: skip
"""All of benchmark.py but --self-check, which plays runs."""
COMPARE_FLAGS = ("--group-by", "--filter", "--fail-if", "--threshold", "--html")
WORDS = (
    "poisson", "constant", "gamma", "trace", "cpu", "cuda", "auto", "on", "off", "1:5:10", "0:0:0", "::",
    "5:1:nan", "config/empty.json", "config/r2p1d-whole.json", "config", "p99:+5%", "throughput:-5%", "p99",
    "p99:5", "x:+5%", "p99:+1e9%", "batch_size=1", "seed=*", "=1", "seed", "folder", "batch_size,seed",
    "telemetry", "out.html",
)  # fmt: skip


class FlagAttack(Attack):
    """A case is a command line."""

    limit_s = 30
    long_run = 4000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._run = make_run(folder)
        times = folder / "times.csv"
        times.write_text("0\n0.5\n2\n")
        self._own = (str(self._run), str(folder), str(times), str(folder / "out.html"), str(folder / "logs"))

    def play(self, seed: int) -> Outcome:
        lots = random.Random(seed)
        if lots.random() < 0.7:
            argv = [*self._drawn(lots, FLAGS), "--device", "cpu", "--check"]
            program, main = "benchmark", benchmark.main
        else:
            argv = [str(self._run), *self._drawn(lots, COMPARE_FLAGS)]
            program, main = "compare", compare.main
        ended = call(main, argv)
        outcome = Outcome(f"{program} {ended.status}")
        judge(outcome, ended, fine=(0, 1) if program == "compare" else (0,))
        outcome.about = f"{program}.py {json.dumps(argv)}"
        return outcome

    def _drawn(self, lots: random.Random, flags: tuple[str, ...]) -> list[str]:
        argv = []
        for _ in range(lots.randint(0, 5)):
            flag, value = lots.choice(flags), self._value(lots)
            if flag in ("--html", "--logs", "--trace"):  # they write, so in the attack's folder only
                value = lots.choice([*self._own, *NUMBERS]) if flag != "--html" else self._own[3]
            argv += lots.choice(
                [[flag, value], [flag, value], [flag, value], [f"{flag}={value}"], [flag], [value]]
            )
        return argv

    def _value(self, lots: random.Random) -> str:
        return lots.choice(lots.choice((NUMBERS, NUMBERS, WORDS, TEXTS, self._own)))
