"""--check: what can be known of a run before it is played."""

from __future__ import annotations

import argparse

from rnb.command_line.exit_status import EXIT_OK
from rnb.command_line.flags import spec_of
from rnb.faults.plan import describe_faults, plan_faults
from rnb.load.schedule import make_schedule
from rnb.pipeline.description import describe
from rnb.pipeline.plan import Plan
from rnb.show import console
from rnb.spec import RunSpec, plan_of


def check(args: argparse.Namespace) -> int:
    """Resolve all that can be checked without the videos, and print the plan."""
    spec = spec_of(args)
    load, schedule = make_schedule(spec.load, ["not looked for"])
    spec = spec.with_load(**vars(load))
    plan = plan_of(spec, num_requests=len(schedule))
    lines = [_described(spec, plan), *describe_faults(plan_faults(spec.faults, plan, schedule))]
    text = "\n".join(lines)
    console.conclude(text)
    console.emit({"plan": text.splitlines()})
    return EXIT_OK


def _described(spec: RunSpec, plan: Plan) -> str:
    if spec.server is not None:
        return _described_server(spec)
    return describe(plan, sends_files=spec.placement.send_files)


def _described_server(spec: RunSpec) -> str:
    from rnb.remote.description import describe_server
    from rnb.remote.served import Served

    return describe_server(Served(spec))
