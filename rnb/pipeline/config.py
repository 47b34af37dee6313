"""A pipeline as data: both dialects of a config file, loaded into one typed model.

Every error is a ConfigError: one line with the place in the file, the value, the rule and the choices.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictInt,
    StrictStr,
    ValidationError,
)

from rnb.contract.options import Count
from rnb.contract.termination import UsageError
from rnb.home import find
from rnb.pipeline.places import placed

DEFAULT_VIDEO_PATH_ITERATOR = "rnb.load.videos.VideoPathIterator"
DEFAULT_SELECTOR = "rnb.pipeline.selectors.RoundRobinSelector"
DEFAULT_NUM_SLOTS = 10
MOST_SLOTS = 1_000_000

Gpu = Annotated[StrictInt, Field(ge=-1)]
Queue = Annotated[StrictInt, Field(ge=0)]
Workers = Annotated[Count, Field(le=1000)]
OneOrSeveral = Annotated[
    list[Queue],
    Field(min_length=1),
    BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
    PlainSerializer(lambda queues: queues if len(queues) > 1 else queues[0]),
]
"""A file may write one queue as its number."""


class ConfigError(UsageError):
    """A config that cannot run, in one line."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


class QueueGroup(BaseModel):
    """Replicas of one step that share an input queue and a set of output queues."""

    model_config = ConfigDict(extra="allow", frozen=True)

    gpus: Annotated[list[Gpu], Field(min_length=1)]
    """The GPU of each replica; -1 is the CPU. A GPU named twice gets two replicas."""
    nodes: list[Annotated[StrictInt, Field(ge=0)]] = []
    """The node of each replica; none: all are on the driver's. A file writes "node:GPU" in `gpus`."""
    in_queue: OneOrSeveral | None = None
    """Indices among the queues to this step: it takes from the first of them that has a message. None for the
    first step, which reads the filename queue."""
    out_queues: Annotated[list[Queue], Field(min_length=1)] | None = None
    """Indices among the queues to the next step; none for the last step."""
    queue_selector: StrictStr = DEFAULT_SELECTOR
    """The class that picks the output queue of each result."""
    workers: Workers | None = None
    """As the step's, for this group alone."""
    choices: dict[str, list[Any]] = {}
    """What optimize.py may try in the place of a key of this group."""

    @property
    def in_queues(self) -> Sequence[int | None]:
        """Those that it reads, in the order in which it does; None is the filename queue."""
        return self.in_queue or (None,)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Node and GPU of each replica."""
        return list(zip(self.nodes or [0] * len(self.gpus), self.gpus, strict=True))

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class StepConfig(BaseModel):
    """One step: its class, its replicas, the slots it writes, and the options its class takes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    model: StrictStr
    """Import path of the step class."""
    queue_groups: Annotated[list[QueueGroup], Field(min_length=1)]
    num_shared_tensors: Annotated[Count, Field(le=MOST_SLOTS)] = DEFAULT_NUM_SLOTS
    """Slots of each replica."""
    num_segments: Count = 1
    """How many parts each request is split into for the next step."""
    max_clips: Count | None = None
    """Pack the clips of the waiting requests up to this many into one call, whatever -b says."""
    workers: Workers | None = None
    """Threads in each replica's process, each with a step instance and a CUDA stream of its own."""
    recycle_after: Count | None = None
    """Another process takes the place of each replica's after so many requests."""
    memory_limit_mb: Count | None = None
    """How much each replica may hold, of its GPU's memory or the CPU's."""
    choices: dict[str, list[Any]] = {}
    """What optimize.py may try in the place of a key of this step; benchmark.py does not look at it."""

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class PipelineChoices(BaseModel):
    """What optimize.py may try in the place of a whole pipeline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: list[list[Any]] = []
    """Lists of steps, each in either form."""


class PipelineConfig(BaseModel):
    """A whole pipeline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    video_path_iterator: StrictStr = DEFAULT_VIDEO_PATH_ITERATOR
    """The class that finds the videos."""
    pipeline: Annotated[list[StepConfig], Field(min_length=1)]
    choices: PipelineChoices = PipelineChoices()
    """benchmark.py does not look at it."""


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """What a config file held when it was read, which is once."""

    path: str
    data: Any
    """As JSON has it, in either dialect."""

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        return Path(self.path).name

    def pipeline(self, *, per_gpu_queue: bool = False, num_nodes: int = 1) -> PipelineConfig:
        """As the typed model. Raises ConfigError."""
        return parse_config(self.data, per_gpu_queue=per_gpu_queue, num_nodes=num_nodes)


def read_config(path: str | Path) -> ConfigFile:
    """Read a config file, of the current folder or of RnB's own. Raises ConfigError."""
    try:
        text = Path(find(str(path))).read_text(encoding="utf-8")
        data = json.loads(text, object_pairs_hook=_with_each_key_once)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    except _RepeatedKey as error:
        raise ConfigError(str(path), f"key '{error}' stands twice in an object") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), f"not JSON: {error}") from None
    return ConfigFile(path=str(path), data=data)


class _RepeatedKey(Exception):
    pass


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKey(key)
        found[key] = value
    return found


def parse_config(data: Any, *, per_gpu_queue: bool = False, num_nodes: int = 1) -> PipelineConfig:
    """Turn a parsed config in either dialect into the typed model, for so many nodes. Raises ConfigError."""
    if isinstance(data, list):
        data = {"pipeline": data}
    if not isinstance(data, dict):
        raise ConfigError("config", f"{_short(data)}: must be a list of steps, or an object with 'pipeline'")
    try:
        expanded = _expand(data, per_gpu_queue=per_gpu_queue)
        config = PipelineConfig.model_validate(_with_nodes(expanded, num_nodes))
    except ValidationError as error:
        raise _config_error(error) from None
    _check_queues(config)
    return config


def _expand(data: dict[str, Any], *, per_gpu_queue: bool) -> dict[str, Any]:
    """Write the short form of a step ('gpus') as queue groups: one for all its GPUs, or one per GPU."""
    steps = data.get("pipeline")
    if not isinstance(steps, list):
        return data
    if per_gpu_queue:
        _check_per_gpu(steps)
    expanded = [_expand_step(step, steps, index, per_gpu_queue) for index, step in enumerate(steps)]
    return {**data, "pipeline": expanded}


def _expand_step(step: Any, steps: list[Any], index: int, per_gpu_queue: bool) -> Any:
    if not isinstance(step, dict) or "gpus" not in step:
        return step
    if "queue_groups" in step:
        raise ConfigError(
            f"pipeline[{index}].gpus", "the step has 'queue_groups' too; name the GPUs in one of them"
        )
    gpus = step["gpus"]
    sets = [[gpu for gpu in gpus if gpu == one] for one in _in_order(gpus)] if per_gpu_queue else [gpus]
    # The first step of a per-GPU pipeline still reads the one filename queue.
    groups: list[dict[str, Any]] = [{"gpus": group} for group in sets]
    for queue, group in enumerate(groups):
        if index > 0:
            group["in_queue"] = queue
        if index < len(steps) - 1:
            group["out_queues"] = [queue]
        group |= {key: step[key] for key in ("queue_selector", "spread") if key in step}
    rest = {key: value for key, value in step.items() if key not in ("gpus", "queue_selector", "spread")}
    return {**rest, "queue_groups": groups}


def _with_nodes(data: dict[str, Any], num_nodes: int) -> dict[str, Any]:
    """The same with the places of replicas as numbers."""
    steps = data.get("pipeline")
    if not isinstance(steps, list):
        return data
    return {**data, "pipeline": [_placed_step(step, index, num_nodes) for index, step in enumerate(steps)]}


def _placed_step(step: Any, index: int, num_nodes: int) -> Any:
    if not isinstance(step, dict) or not isinstance(step.get("queue_groups"), list):
        return step
    groups = []
    for number, group in enumerate(step["queue_groups"]):
        try:
            groups.append(placed(group, num_nodes))
        except UsageError as error:
            raise ConfigError(f"pipeline[{index}].queue_groups[{number}]", str(error)) from None
    return {**step, "queue_groups": groups}


def _check_per_gpu(steps: list[Any]) -> None:
    reference: list[int] | None = None
    for index, step in enumerate(steps):
        if not isinstance(step, dict) or not isinstance(step.get("gpus"), list):
            raise ConfigError(
                f"pipeline[{index}]", "-p needs 'gpus' in each step; 'queue_groups' name their own queues"
            )
        if not all(type(gpu) is int for gpu in step["gpus"]):
            raise ConfigError(
                f"pipeline[{index}].gpus", f"{_short(step['gpus'])}: must be a list of whole numbers"
            )
        gpus = _in_order(step["gpus"])
        reference = reference or gpus
        if gpus != reference:
            raise ConfigError(
                f"pipeline[{index}].gpus",
                f"{step['gpus']}: -p needs the same GPUs in all steps, here {reference}",
            )


def _in_order(gpus: Iterable[int]) -> list[int]:
    # Ascending, so that the queue of a GPU has the same index between any two steps.
    return sorted(set(gpus))


def _check_queues(config: PipelineConfig) -> None:
    last = len(config.pipeline) - 1
    for index, step in enumerate(config.pipeline):
        for number, group in enumerate(step.queue_groups):
            place = f"pipeline[{index}].queue_groups[{number}]"
            _check_end(place, "in_queue", group.in_queue, absent=index == 0, why="reads the filename queue")
            _check_end(place, "out_queues", group.out_queues, absent=index == last, why="is the last one")
            for key, queues in (("in_queue", group.in_queue), ("out_queues", group.out_queues)):
                if queues and len(set(queues)) < len(queues):
                    raise ConfigError(f"{place}.{key}", f"{queues}: a queue is named twice")
    for index in range(last):
        _check_joint(config, index)
    if config.pipeline[last].num_segments != 1:
        raise ConfigError(f"pipeline[{last}].num_segments", "the last step has nobody to hand segments to")
    if "num_shared_tensors" in config.pipeline[last].model_fields_set:
        raise ConfigError(f"pipeline[{last}].num_shared_tensors", "the last step hands no tensors on")


def _check_end(place: str, key: str, value: Any, *, absent: bool, why: str) -> None:
    if absent and value is not None:
        raise ConfigError(f"{place}.{key}", f"{value}: the step {why}, so leave it out")
    if not absent and value is None:
        raise ConfigError(f"{place}.{key}", "missing")


def _check_joint(config: PipelineConfig, index: int) -> None:
    written = {queue for group in config.pipeline[index].queue_groups for queue in group.out_queues or ()}
    read = {queue for group in config.pipeline[index + 1].queue_groups for queue in group.in_queues}
    if written != read:
        raise ConfigError(
            f"pipeline[{index}]",
            f"its out_queues {sorted(written)} must be the in_queues of pipeline[{index + 1}],"
            f" {sorted(read, key=str)}",
        )


def unknown_option(place: str, name: str, choices: Iterable[str]) -> ConfigError:
    """The error for an option that a step does not take."""
    known = sorted(set(choices) - {name})  # it may be a key elsewhere
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return ConfigError(f"{place}.{name}", f"unknown key{hint} It may be: {', '.join(known) or 'none'}")


def first_problem(error: ValidationError) -> tuple[str, str, str]:
    """Of one problem: its place within the model, pydantic's name for its kind, and what is wrong."""
    problems = error.errors(include_url=False)
    # A misspelt key explains a missing one.
    problem = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        message = "missing"
    elif problem["type"] != "value_error":
        message = f"{_short(problem['input'])}: {message[:1].lower()}{message[1:]}"
    return place.lstrip("."), problem["type"], message


def _config_error(error: ValidationError) -> ConfigError:
    place, kind, message = first_problem(error)
    if kind == "extra_forbidden":
        parent, _, name = place.rpartition(".")
        return unknown_option(parent or "config", name, PipelineConfig.model_fields)
    return ConfigError(place, message)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
