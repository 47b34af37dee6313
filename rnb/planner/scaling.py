"""The same pipeline on more GPUs, or on fewer."""

from __future__ import annotations

import copy
from dataclasses import replace

from rnb.contract.termination import UsageError
from rnb.pipeline.config import ConfigFile
from rnb.pipeline.step_type import resolve
from rnb.spec import RunSpec


def gpus_of(spec: RunSpec) -> list[int]:
    """The GPUs that the config names, also where --device cpu takes the CPU in their place."""
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    named = (gpu for step in pipeline.pipeline for group in step.queue_groups for gpu in group.gpus)
    return sorted({gpu for gpu in named if gpu >= 0})


def on_gpus(spec: RunSpec, num_gpus: int) -> RunSpec:
    """With so many GPUs: each has what one of the config's has, in turn; replicas on the CPU grow alike.

    There are as many queues as before. A step that joins segments stays as it is, as they must meet. Raises
    UsageError for a config without GPUs.
    """
    used = gpus_of(spec)
    if not used:
        raise UsageError(f"gpus={num_gpus}: {spec.config.path} has no replica on a GPU")
    if num_gpus == len(used):
        return spec
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    data = copy.deepcopy(pipeline.model_dump(exclude_unset=True, mode="json"))
    for step in data["pipeline"]:
        if resolve(step["model"]).joins_segments:
            continue
        groups = step["queue_groups"]
        scaled = [_scaled(group["gpus"], used, num_gpus) for group in groups]
        for group, gpus in zip(groups, scaled, strict=True):
            group["gpus"] = gpus
        step["queue_groups"] = [group for group in groups if group["gpus"]]
    config = ConfigFile(path=spec.config.path, data=data)
    return replace(spec, config=config, placement=replace(spec.placement, per_gpu_queue=False))


def _scaled(gpus: list[int], used: list[int], num_gpus: int) -> list[int]:
    on_cpu = [gpu for gpu in gpus if gpu < 0]
    each = {gpu: gpus.count(gpu) for gpu in used}
    on_gpus = [gpu for gpu in range(num_gpus) for _ in range(each[used[gpu % len(used)]])]
    return on_gpus + [-1] * -(-len(on_cpu) * num_gpus // len(used))
