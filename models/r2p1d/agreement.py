"""How often a faster network finds the class that the exact one finds, on clips of the run's own videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from models.r2p1d.sampler import R2P1DSampler
from nvvl import RnBLoader, VideoError

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


def top1_agreement(exact: Classify, fast: Classify, clips: torch.Tensor) -> float:
    """The share of clips, at least one, for which both find the same class."""
    agreeing = [exact(rows).argmax(dim=1).eq(fast(rows).argmax(dim=1)) for rows in clips.split(ROWS_AT_ONCE)]
    return float(torch.cat(agreeing).double().mean())
