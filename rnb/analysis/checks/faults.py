"""What was done to the run on purpose."""

from __future__ import annotations

from rnb.analysis.checks.facts import Facts


def fault_note(facts: Facts) -> str | None:
    faults = facts.run.meta.faults
    if not faults:
        return None
    asked = " ".join(f"--fault {one.fault}" for one in faults)
    return f"played with {asked}: not to be compared with runs without"
