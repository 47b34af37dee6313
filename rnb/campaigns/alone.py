"""A part of a run by itself: the client, or one step. What it reaches is the ceiling of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rnb.contract.request import Layout
from rnb.contract.termination import UsageError
from rnb.pipeline.config import ConfigFile, StepConfig
from rnb.pipeline.step_type import resolve
from rnb.spec import RunSpec, plan_of

NOTHING = {"model": "models.nothing.model.Nothing", "gpus": [-1]}
NO_VIDEOS = "rnb.load.videos.NoVideos"


def client_alone(spec: RunSpec) -> RunSpec:
    """The same load for a step that does nothing, so that only the client takes time."""
    data = {"video_path_iterator": NO_VIDEOS, "pipeline": [NOTHING]}
    return replace(spec, config=ConfigFile(path="client.json", data=data))


def step_alone(spec: RunSpec, index: int) -> RunSpec:
    """The same run with one step of its pipeline, and before that one which makes up what it takes.

    The first step gets what it does in the pipeline, the videos, and so does one behind steps that hand them
    on. Raises UsageError.
    """
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    if index >= len(pipeline.pipeline):
        raise UsageError(f"--step {index}: the pipeline has steps 0 to {len(pipeline.pipeline) - 1}")
    replicas = plan_of(spec, num_requests=1).replicas
    inputs = next(replica.inputs for replica in replicas if replica.step == index)
    step = pipeline.pipeline[index]
    steps = [_feed(step, inputs), _last(step, in_queue=0)] if inputs else [_last(step, in_queue=None)]
    opens = all(resolve(before.model).cls.passes_on for before in pipeline.pipeline[:index])
    iterator = pipeline.video_path_iterator if opens else NO_VIDEOS
    data = {"video_path_iterator": iterator, "pipeline": steps}
    name = f"step-{index}-of-{spec.config.name}"
    placement = replace(spec.placement, per_gpu_queue=False)
    return replace(spec, config=ConfigFile(path=name, data=data), placement=placement)


def _feed(step: StepConfig, inputs: Layout) -> dict[str, Any]:
    """On the device of the step's first replica."""
    return {
        "model": "rnb.pipeline.feed.Feed",
        "queue_groups": [{"gpus": step.queue_groups[0].gpus[:1], "out_queues": [0]}],
        "shapes": [spec.shape for spec in inputs],
        "dtypes": [spec.dtype for spec in inputs],
    }


def _last(step: StepConfig, *, in_queue: int | None) -> dict[str, Any]:
    """The step as the last of a pipeline."""
    groups = [
        {**group.options, "gpus": group.gpus, **({"workers": group.workers} if group.workers else {})}
        for group in step.queue_groups
    ]
    kept = {name: getattr(step, name) for name in ("max_clips", "workers") if getattr(step, name)}
    return {
        **step.options,
        **kept,
        "model": step.model,
        "queue_groups": [{**group, "in_queue": in_queue} for group in groups],
    }
