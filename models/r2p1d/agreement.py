"""How often a faster network finds the class that the exact one finds, on clips of the run's own videos."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import torch

import nvvl
from models.kept_figures import code_of, state_of
from models.r2p1d.sampler import R2P1DSampler
from nvvl import RnBLoader, VideoError
from rnb.contract import Options

CLIPS_PER_VIDEO = 32
ROWS_AT_ONCE = 32

Classify = Callable[[torch.Tensor], torch.Tensor]
"""Clips to logits, (num_clips, num_classes)."""


def sample_clips(videos: Sequence[str], row: Sequence[int], device: torch.device) -> torch.Tensor:
    """Clips spread over each video, uint8 (num_clips, *row) with a row (3, frames, height, width).

    Videos that cannot be decoded give none.
    """
    _, num_frames, height, width = row
    sampler = R2P1DSampler(num_frames, CLIPS_PER_VIDEO, None, None)
    clips = torch.empty((len(videos), CLIPS_PER_VIDEO, *row), dtype=torch.uint8)
    found = []
    with RnBLoader(width, height, num_frames, -1, sampler, backend="pyav") as loader:
        for video, out in zip(videos, clips, strict=True):
            try:
                found.append(out[: loader.decode_into(video, out)])
            except VideoError:
                continue  # it fails again, and is counted, when its turn comes
    return (torch.cat(found) if found else clips.flatten(0, 1)[:0]).to(device)


def conditions(
    options: Options, videos: Sequence[str], row: Sequence[int], device: torch.device
) -> dict[str, Any]:
    """All that the agreement depends on: code, weights, clips, and what computes."""
    here = Path(__file__).parent
    checkpoint = getattr(options, "checkpoint", None)
    return {
        "of": "top-1 agreement",
        "code": code_of(here, here.parent, Path(nvvl.__file__).parent),
        "options": options.model_dump(mode="json"),
        "checkpoint": checkpoint and state_of(checkpoint),
        "videos": [state_of(video) for video in videos],
        "row": list(row),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "versions": [torch.__version__, torch.version.cuda, torch.backends.cudnn.version(), av.__version__],
    }


def top1_agreement(exact: Classify, fast: Classify, clips: torch.Tensor) -> float:
    """The share of clips, at least one, for which both find the same class."""
    agreeing = [exact(rows).argmax(dim=1).eq(fast(rows).argmax(dim=1)) for rows in clips.split(ROWS_AT_ONCE)]
    return float(torch.cat(agreeing).double().mean())
