"""The whole pipelines that a search compares: the config as it is, those that it lists as choices, and what
comes of them when a step's work is divided between two, or two steps become one, as their classes allow."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from rnb.contract.step import Part, Step
from rnb.pipeline.config import ConfigFile, StepConfig
from rnb.pipeline.step_type import resolve
from rnb.spec import RunSpec

STRUCTURE = ("model", "queue_groups", "num_shared_tensors", "num_segments")
"""Keys of a step that say where it is in its pipeline; the others, and its options, are of its work."""

Data = dict[str, Any]


class Form(NamedTuple):
    name: str
    """What it is, beside the config; empty: the config itself."""
    data: Data
    """In the long form, with queue groups."""
    num_moves: int = 0
    """How often a step was divided, or two were joined, since somebody wrote it down."""


def forms_of(spec: RunSpec) -> list[Form]:
    """All of them, the config itself first; none has more than one step more than where it comes from.

    Raises ConfigError for a choice that is no pipeline.
    """
    config = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    own: Data = config.model_dump(exclude_unset=True, mode="json")
    listed = own.pop("choices", {}).get("pipeline", [])
    found = _with_moves(Form("", own))
    for number, steps in enumerate(listed):
        other = ConfigFile(path=spec.config.path, data={**own, "pipeline": steps}).pipeline()
        data = other.model_dump(exclude_unset=True, mode="json")
        found |= _with_moves(Form(f"choice {number} of pipeline", data))
    return list(found.values())


def _with_moves(start: Form) -> dict[str, Form]:
    """A form, and all that comes of it; by what they are."""
    most_steps = len(start.data["pipeline"]) + 1
    own = {step["model"] for step in start.data["pipeline"]}
    found, new = {_key(start): start}, [start]
    while new:
        moved = [one for form in new for one in _moves(form, own) if len(one.data["pipeline"]) <= most_steps]
        new = list({_key(one): one for one in moved if _key(one) not in found}.values())
        found |= {_key(one): one for one in new}
    return found


def _key(form: Form) -> str:
    """Equal for equal pipelines, whether or not they name what their steps have by default."""
    named = [{**step, **_with_defaults(step)} for step in form.data["pipeline"]]
    return json.dumps({**form.data, "pipeline": named}, sort_keys=True, default=str)


def _with_defaults(step: Data) -> Data:
    cls = resolve(step["model"]).cls
    try:
        return cls.Options.model_validate(_options(step)).model_dump()
    except ValueError:
        return {}  # the plan says what is wrong with them


def _moves(form: Form, own: Collection[str]) -> Iterator[Form]:
    """One step less or more; what was joined to a step of another class is not divided again."""
    steps = form.data["pipeline"]
    for index, step in enumerate(steps):
        for parts in _divided(step) if step["model"] in own else ():
            yield _replaced(form, index, 1, [*_two_steps(step, parts)])
        if index + 1 < len(steps) and (part := _joined(step, steps[index + 1])):
            yield _replaced(form, index, 2, [_one_step(step, steps[index + 1], part)])


def _replaced(form: Form, index: int, count: int, steps: list[Data]) -> Form:
    before = form.data["pipeline"]
    pipeline = [*before[:index], *steps, *before[index + count :]]
    name = " → ".join(_described(step) for step in pipeline)
    return Form(name, {**form.data, "pipeline": pipeline}, form.num_moves + 1)


def _described(step: Data) -> str:
    """Its class, and the numbers among its options, which tell one part of a network from another."""
    numbers = [f"{name} {value}" for name, value in _options(step).items() if type(value) is int]
    name = step["model"].rpartition(".")[2]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _options(step: Mapping[str, Any]) -> Data:
    return {name: value for name, value in step.items() if name not in StepConfig.model_fields}


def _is_plain(step: Mapping[str, Any]) -> bool:
    """Whether it has one queue group, without options of its own, and splits nothing."""
    groups = step["queue_groups"]
    known = {"gpus", "in_queue", "out_queues"}
    return len(groups) == 1 and set(groups[0]) <= known and step.get("num_segments", 1) == 1


def _divided(step: Data) -> Iterator[tuple[Part, Part]]:
    if _is_plain(step):
        yield from resolve(step["model"]).cls.divided(_options(step))


def _joined(step: Data, following: Data) -> Part | None:
    if not (_is_plain(step) and _is_plain(following)):
        return None
    second = resolve(following["model"]).cls
    return resolve(step["model"]).cls.joined(_options(step), second, _options(following))


def _two_steps(step: Data, parts: tuple[Part, Part]) -> Iterator[Data]:
    (group,) = step["queue_groups"]
    slots = {"num_shared_tensors": step["num_shared_tensors"]} if "num_shared_tensors" in step else {}
    first = {name: value for name, value in group.items() if name != "out_queues"}
    second = {name: value for name, value in group.items() if name != "in_queue"}
    yield {**_work(step, parts[0]), "queue_groups": [{**first, "out_queues": [0]}], **slots}
    yield {**_work(step, parts[1]), "queue_groups": [{**second, "in_queue": 0}], **slots}


def _one_step(step: Data, following: Data, part: Part) -> Data:
    """Where the second one was."""
    (first,), (second,) = step["queue_groups"], following["queue_groups"]
    ends = {name: value for name, value in first.items() if name == "in_queue"}
    ends |= {name: value for name, value in second.items() if name != "in_queue"}
    kept = {name: following[name] for name in ("num_shared_tensors",) if name in following}
    return {**_work(following, part), "queue_groups": [ends], **kept}


def _work(step: Data, part: Part) -> Data:
    """A step with the work of `part`; what the config says beside options goes with its class."""
    cls, options = part
    is_same = resolve(step["model"]).cls is cls
    rest = {name: value for name, value in step.items() if is_same and name in StepConfig.model_fields}
    rest = {name: value for name, value in rest.items() if name not in STRUCTURE}
    return {"model": step["model"] if is_same else _path(cls), **rest, **options}


def _path(cls: type[Step]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
