"""The clips that a sampler picks of a video, and what decoding them takes."""

from __future__ import annotations

from nvvl.clips import Clips
from nvvl.errors import VideoError
from nvvl.index import VideoIndex
from nvvl.pace import Pace, clips_from, num_counting
from nvvl.sampler import Sampler


def picked_clips(index: VideoIndex, sampler: Sampler, pace: Pace, length: int) -> Clips:
    """Clips of `length` frames, of those that count.

    Raises:
        VideoError: the video is too short. ValueError: the sampler picks frames that it does not have.
    """
    stride = pace.stride(index)
    num_frames = num_counting(index.num_frames, stride)
    has = f"has {index.num_frames} frames"
    if num_frames != index.num_frames:
        has += f", of which {num_frames} count"
    if num_frames < length:
        raise VideoError(index.filename, f"{has}, fewer than the {length} of a clip")
    starts = [int(start) for start in sampler.sample(num_frames) or ()]
    if not starts:
        raise VideoError(index.filename, f"{has}: too short for {type(sampler).__name__}")
    if min(starts) < 0 or max(starts) + length > num_frames:
        clips = f"clips of {length} frames at {starts}"
        raise ValueError(f"{type(sampler).__name__} picked {clips} in {num_frames} frames")
    return clips_from(starts, length, stride)


def num_decoded(index: VideoIndex, clips: Clips) -> int:
    """How many frames have to be decoded for these, with those from keyframes on that others refer to."""
    wanted = {frame for clip in clips for frame in clip}
    return sum(len(index.needed(run)) for run in index.plan(wanted))
