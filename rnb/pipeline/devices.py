"""Which device a GPU index of a config means in this run."""

from __future__ import annotations

import os

from rnb.contract.device import CPU, Device
from rnb.pipeline.config import ConfigError, PipelineConfig
from rnb.pipeline.visible_gpus import num_visible_gpus

MODES = ("auto", "cuda", "cpu")


def resolve_mode(mode: str, config: PipelineConfig) -> str:
    """'cuda' or 'cpu' for the mode asked for. Raises ConfigError when the config's GPUs are not there.

    Those of other nodes are not looked for here.
    """
    named = [
        (node, gpu, f"pipeline[{index}].queue_groups[{number}].gpus")
        for index, step in enumerate(config.pipeline)
        for number, group in enumerate(step.queue_groups)
        for node, gpu in group.places
    ]
    if mode == "cpu" or all(gpu < 0 for _, gpu, _ in named):
        return "cpu" if mode == "cpu" else "cuda"
    num_gpus = _num_gpus()
    for node, gpu, place in named:
        if node == 0 and gpu >= num_gpus:
            raise ConfigError(place, _missing_gpu(gpu, num_gpus, mode))
    _check_allocator()
    return "cuda"


def _num_gpus() -> int:
    return num_visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))


def _missing_gpu(gpu: int, num_gpus: int, mode: str) -> str:
    if num_gpus == 0:
        return f"GPU {gpu}: no GPU here; --device cpu runs every replica on the CPU instead"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = f"CUDA_VISIBLE_DEVICES={visible} shows" if visible else "this machine has"
    return (
        f"GPU {gpu}: {seen} {num_gpus}, so it may be 0 to {num_gpus - 1}, or -1 for the CPU (--device {mode})"
    )


def _check_allocator() -> None:
    settings = os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "") + os.environ.get("PYTORCH_ALLOC_CONF", "")
    if "expandable_segments:True" in settings:
        # https://github.com/pytorch/pytorch/issues/165685: such memory cannot be shared between processes.
        raise ConfigError("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments breaks sharing slots; unset it")


def device_of(gpu: int, mode: str) -> Device:
    """The device for a GPU index of the config, under a resolved mode."""
    return CPU if gpu < 0 or mode == "cpu" else Device("cuda", gpu)
