"""A pipeline drawn from a seed, and what it must say of each request."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.robustness.arithmetic_steps import (
    changed,
    first_value,
    is_planned_to_fail,
    num_rows_of,
    planned_reason,
)

STEPS = "tests.robustness.arithmetic_steps"
SELECTORS = "rnb.pipeline.selectors"
SOURCES = ("Source", "SourceOfMany", "SourceInPlace", "SourceElsewhere")
CHANGES = ("Change", "ChangeOne", "ChangeCopies", "ChangeInPlace")
MOST_PROCESSES = 7


@dataclass(kw_only=True)
class DrawnStep:
    """One step, before it has a place in a config."""

    name: str
    options: dict[str, Any]
    """As the config has them, log apart."""
    arriving: int = 1
    """In how many segments requests come to it."""
    is_single: bool = False
    """Whether it must be one replica with one worker."""


@dataclass(kw_only=True)
class DrawnPipeline:
    """A pipeline, its load, and its placement."""

    steps: list[DrawnStep]
    config: Any
    num_requests: int
    load: dict[str, Any] = field(default_factory=dict)
    placement: dict[str, Any] = field(default_factory=dict)
    is_in_order: bool = False
    """Whether requests pass every step in the order in which they came."""

    def fate_of(self, request_id: int) -> list[int] | str:
        """The result of a request, or the reason why it fails."""
        source = self.steps[0].options
        tensors = [
            [first_value(request_id, tensor, row) for row in range(self._num_rows(request_id, tensor))]
            for tensor in range(source["num_tensors"])
        ]
        payload = first_value(request_id)
        for number, step in enumerate(self.steps):
            if step.name == "Batcher":
                continue
            options = step.options
            if is_planned_to_fail(request_id, number, options.get("fails_one_in", 0)):
                return planned_reason(number)
            times, plus = options["times"], options["plus"]
            payload = changed(payload, times, plus)
            tensors = [[changed(value, times, plus) for value in values] for values in tensors]
        return [payload, *(number for values in tensors for number in (len(values), sum(values)))]

    def notes_of(self, request_id: int) -> list[tuple[int, int, int]]:
        """(step, request, segment) of everything that is done for a request."""
        found = []
        for number, step in enumerate(self.steps):
            if step.name == "Batcher":
                continue
            if is_planned_to_fail(request_id, number, step.options.get("fails_one_in", 0)):
                break
            found += [(number, request_id, segment) for segment in range(step.arriving)]
        return found

    def _num_rows(self, request_id: int, tensor: int) -> int:
        source = self.steps[0].options
        return num_rows_of(request_id, tensor, most=source["most_rows"], least=source["least_rows"])


def draw(seed: int, log: str) -> DrawnPipeline:
    """The pipeline of a seed, whose steps note in `log` what they do."""
    lots = random.Random(seed)
    batch_size = lots.choice([1, 1, 2, 3, 5])
    steps = _steps(lots)
    if not any(step.name in ("Change", "ChangeCopies", "ChangeInPlace", "SourceOfMany") for step in steps):
        batch_size = 1  # RnB refuses -b where no step takes several requests
    _add_room(lots, steps, batch_size)
    configs = [_config_of(step, number, log) for number, step in enumerate(steps)]
    per_gpu = _place(lots, steps, configs)
    num_requests, warmup = lots.randint(1, 60), lots.choice([0, 0, 3])
    config: Any = configs if lots.random() < 0.5 else {"pipeline": configs}
    drawn = DrawnPipeline(
        steps=steps,
        config=config,
        num_requests=num_requests + warmup,
        load={
            "videos": num_requests,
            "warmup": warmup,
            "mean_interval_ms": lots.choice([0, 0, 0.2, 1]),
            "arrivals": lots.choice(["poisson", "constant"]),
            "clients": lots.choice([1, 1, 1, 2]),
            "seed": seed,
        },
        placement={
            "per_gpu_queue": per_gpu,
            "batch_size": batch_size,
            "batch_timeout_ms": lots.choice([0, 1, 5]),
            "queue_size": 500,
        },
        is_in_order=all(_is_single(step) for step in configs),
    )
    _pack_by_clips(lots, steps, configs)
    return drawn


def _steps(lots: random.Random) -> list[DrawnStep]:
    num_tensors, most_rows = lots.choice([0, 1, 1, 2]), lots.randint(1, 11)
    options = {"num_tensors": num_tensors, "most_rows": most_rows, "least_rows": lots.choice([0, 1, 1])}
    steps = [DrawnStep(name=lots.choice(SOURCES), options={**_arithmetic(lots), **options})]
    has_batcher = False
    for _ in range(lots.randint(0, 3)):
        has_batcher = lots.random() < 0.2
        if has_batcher:
            steps.append(DrawnStep(name="Batcher", options={"batch": lots.randint(1, 4)}))
        else:
            steps.append(DrawnStep(name=lots.choice(CHANGES), options=_arithmetic(lots)))
    if has_batcher:  # not as the last one, where it would be its results that count
        steps.append(DrawnStep(name=lots.choice(CHANGES), options=_arithmetic(lots)))
    if len(steps) > 1 and lots.random() < 0.3:
        _split(lots, steps, most_rows)
    return steps


def _arithmetic(lots: random.Random) -> dict[str, Any]:
    fails = {"fails_one_in": lots.choice([2, 5, 9])} if lots.random() < 0.2 else {}
    return {"times": lots.randint(1, 1000), "plus": lots.randint(0, 1000), **fails}


def _split(lots: random.Random, steps: list[DrawnStep], most_rows: int) -> None:
    """Split requests behind a step, and join them in one that comes last."""
    num_segments, at = lots.randint(2, 4), lots.randrange(min(len(steps), 4))
    steps[at].options["num_segments"] = num_segments
    del steps[4:]
    join = {"aggregate": num_segments, "most_rows": most_rows}
    steps.append(DrawnStep(name="Join", options={**_arithmetic(lots), **join}, is_single=True))
    for step in steps[at + 1 :]:
        step.arriving = num_segments


def _add_room(lots: random.Random, steps: list[DrawnStep], batch_size: int) -> None:
    for step in steps[:-1]:
        least = max(batch_size, step.options.get("num_segments", 1))
        step.options["num_shared_tensors"] = lots.choice([least, least + 1, 10])


def _pack_by_clips(lots: random.Random, steps: list[DrawnStep], configs: list[dict[str, Any]]) -> None:
    """Have some steps gather requests by their clips, up to where segments or a Batcher change how many
    those may be."""
    source = steps[0].options
    for step, config in zip(steps[1:], configs[1:], strict=True):
        if step.arriving > 1 or step.name == "Batcher" or not source["num_tensors"]:
            return
        if step.name != "ChangeOne" and lots.random() < 0.2:
            config["max_clips"] = source["most_rows"] * lots.randint(1, 4)


def _config_of(step: DrawnStep, number: int, log: str) -> dict[str, Any]:
    if step.name == "Batcher":
        return {"model": "batcher.Batcher", **step.options}
    return {"model": f"{STEPS}.{step.name}", "step": number, "log": log, **step.options}


def _place(lots: random.Random, steps: list[DrawnStep], configs: list[dict[str, Any]]) -> bool:
    """Give each step its replicas, workers and queues; returns whether they are those of -p."""
    left = MOST_PROCESSES - len(steps)
    counts = []
    for step in steps:
        extra = 0 if step.is_single else min(left, lots.choice([0, 0, 1, 2]))
        left -= extra
        counts.append(1 + extra)
        if not step.is_single and lots.random() < 0.3:
            configs[len(counts) - 1]["workers"] = lots.randint(2, 3)
    if lots.random() < 0.5:
        gpus = sorted({lots.randrange(2) for _ in range(max(counts))})
        per_gpu = lots.random() < 0.3 and not any(step.is_single for step in steps)
        for config, count in zip(configs, counts, strict=True):
            config["gpus"] = gpus if per_gpu else [lots.randrange(-1, 2) for _ in range(count)]
        return per_gpu
    queues = [0]
    for number, (config, count) in enumerate(zip(configs, counts, strict=True)):
        is_last = number == len(configs) - 1
        num_next = 1 if is_last or counts[number + 1] < 2 or steps[number + 1].is_single else 2
        config["queue_groups"] = _groups(
            lots, count, queues if number else None, None if is_last else list(range(num_next)), configs[0]
        )
        queues = list(range(num_next))
    return False


def _groups(
    lots: random.Random, count: int, ins: list[int] | None, outs: list[int] | None, source: dict[str, Any]
) -> list[dict[str, Any]]:
    """Groups of `count` replicas in all, so that every queue is read and every queue is written."""
    num_groups = max(len(ins or ()), lots.randint(1, count))
    gpus: list[list[int]] = [[] for _ in range(num_groups)]
    for replica in range(max(count, num_groups)):
        gpus[replica % num_groups].append(lots.randrange(-1, 2))
    groups: list[dict[str, Any]] = [{"gpus": one} for one in gpus]
    for number, group in enumerate(groups):
        if ins is not None:
            group["in_queue"] = ins[number] if number < len(ins) else ins[::-1]
        if outs is not None:
            group["out_queues"] = outs if number == 0 or lots.random() < 0.5 else [lots.choice(outs)]
            names = ["RoundRobinSelector", "LeastLoadedSelector"]
            if len(group["out_queues"]) == 2 and source["num_tensors"]:
                names.append("ClipCountSelector")
            group["queue_selector"] = f"{SELECTORS}.{lots.choice(names)}"
    return groups


def _is_single(config: dict[str, Any]) -> bool:
    groups = config.get("queue_groups") or [config]
    return sum(len(group["gpus"]) for group in groups) == 1 and config.get("workers", 1) == 1
