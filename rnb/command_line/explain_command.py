"""optimize.py --explain and --what-if: why a config is as fast as it is, and what it would be elsewhere."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from rnb.campaigns.campaign import create
from rnb.command_line.exit_status import EXIT_OK
from rnb.command_line.quiet_run import play_quietly
from rnb.contract.termination import UsageError
from rnb.planner.curve import Curve, Point, draw
from rnb.planner.curve_text import curve_lines
from rnb.planner.explanation import Explanation, explain
from rnb.planner.explanation_text import explanation_lines
from rnb.planner.harness import measure_harness
from rnb.planner.memory import Memory
from rnb.planner.one_config import OneConfig
from rnb.planner.page.explanation_page import write_explanation_page
from rnb.planner.profile import Profile
from rnb.planner.profiling import profile_by_runs
from rnb.planner.screening import Simulator
from rnb.planner.sources import add_sources
from rnb.planner.system import System
from rnb.planner.what_if import parse_what_if, supposed
from rnb.show import console
from rnb.show.page.destination import FILE_NAME
from rnb.spec import RunSpec

NAME = "explain"
"""Of its folder."""


def explain_config(args: argparse.Namespace, spec: RunSpec) -> int:
    """Profile, unless --profile says what to take, and tell. Raises UsageError, RunFailed, PageError."""
    what_if = parse_what_if(args.what_if) if args.what_if else None
    if args.resume:
        raise UsageError("--resume: goes on with a search; what one knows is taken with --profile FOLDER")
    if what_if:  # what cannot be is found before anything runs
        supposed(System(spec=spec, simulator=Simulator(profile=Profile(), cores=1)), what_if.points()[0])
    profile, folder = Profile(), None
    add_sources(profile, args.profile)
    if not args.profile:
        folder = create(Path(args.logs), NAME)
        _profile_by_runs(args, profile, spec, folder)
    cores = args.cores_asked or profile.origin.get("num_cpus") or args.cores
    system = System.of(spec, Simulator(profile=profile, cores=cores, harness=measure_harness()))
    found = explain(system) if args.explain is not None else None
    curve = draw(system, what_if, _tell_point) if what_if else None
    memory = Memory(folder or create(Path(args.logs), NAME))
    memory.keep_profile(profile)
    _tell(args, memory, system, found, curve)
    return EXIT_OK


def _profile_by_runs(args: argparse.Namespace, profile: Profile, spec: RunSpec, folder: Path) -> None:
    profile_by_runs(
        profile,
        OneConfig(spec),
        partial(play_quietly, profile),
        folder,
        seconds=60 * args.budget,
        tell=console.say,
    )


def _tell_point(point: Point) -> None:
    settings = ", ".join(f"{key} {value:g}" for key, value in point.settings.items()) or "as it is"
    console.detail(f"simulated: {settings}: {point.predicted.per_s:.4g} requests/s")


def _tell(
    args: argparse.Namespace,
    memory: Memory,
    system: System,
    found: Explanation | None,
    curve: Curve | None,
) -> None:
    if found:
        console.conclude("\n".join(explanation_lines(found)))
    if curve:
        console.conclude("\n".join(curve_lines(curve)))
    path = Path(args.html or memory.folder / FILE_NAME)
    write_explanation_page(path, system, found, curve)
    console.say(f"page: {path}")
    console.emit(
        {
            "folder": str(memory.folder),
            "page": str(path),
            "explanation": found.to_json() if found else None,
            "what_if": curve.to_json() if curve else None,
        }
    )
