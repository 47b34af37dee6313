"""What a profile holds for: the machine, the code and the inputs of its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rnb.contract.termination import UsageError
from rnb.observe import provenance
from rnb.observe.fingerprint import describe_inputs
from rnb.record.run import Run
from rnb.spec import RunSpec, schedule_of

COMPARED = ("cpu", "num_cpus", "gpus", "python", "packages", "commit", "changes")
"""What must be the same, of a run's provenance."""
INPUTS, NUM_FILES = "inputs", "num_files"
"""The inputs by how many files they are: runs of few requests play the first of them only."""

Origin = dict[str, Any]


def origin_of(run: Run) -> Origin:
    """Of a run, as JSON."""
    inputs = run.meta.provenance.get(INPUTS)
    return _origin(run.meta.provenance, [inputs] if inputs else [])


def origin_now(spec: RunSpec, like: Origin) -> Origin:
    """Of this machine as it is, with as many inputs as an origin knows. Raises UsageError."""
    counts = [int(count) for count in like.get(INPUTS, {})]
    _, schedule = schedule_of(spec.with_load(videos=max(counts, default=0) + 1, warmup=0, mean_interval_ms=0))
    inputs = [describe_inputs(schedule.payloads[:count], spec.load.data) for count in counts]
    return _origin(provenance.collect(), inputs)


def _origin(facts: Mapping[str, Any], inputs: list[Any]) -> Origin:
    found = {name: facts.get(name) for name in COMPARED}
    found["gpus"] = [gpu.get("name") for gpu in facts.get("gpus") or []]
    found[INPUTS] = {str(one.get(NUM_FILES)): one for one in inputs}
    as_json: Origin = json.loads(json.dumps(found))
    return as_json


def check(kept: Origin, other: Origin, what: str) -> None:
    """Raises UsageError where a profile of `kept` is of something other than `what`."""
    if not kept:
        return
    for name in COMPARED:
        _check_one(name, kept.get(name), other.get(name), what)
    inputs = kept.get(INPUTS, {}), other.get(INPUTS, {})
    for count in inputs[0].keys() & inputs[1].keys():
        _check_one(INPUTS, inputs[0][count], inputs[1][count], what)


def merged(kept: Origin, other: Origin) -> Origin:
    """With the inputs of both."""
    return {**other, **kept, INPUTS: {**other.get(INPUTS, {}), **kept.get(INPUTS, {})}}


def _check_one(name: str, kept: Any, other: Any, what: str) -> None:
    if kept != other:
        raise UsageError(
            f"{what}: {name} is {_short(other)}, and in the profile {_short(kept)}; profile anew, without it"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
