"""What decoding would take if the videos had another size: by what the profile's runs say of the sizes that
they played."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rnb.analysis.calls import calls_of, visits_of
from rnb.contract.termination import UsageError
from rnb.planner.profile import Key, variants
from rnb.planner.system import System
from rnb.record.run import Run
from rnb.record.run_folder import RunFolderError, read

NAMES = {
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")


def pixels_named(name: str) -> int:
    """Of a picture. Raises UsageError."""
    if match := _SIZE.fullmatch(name):
        return int(match[1]) * int(match[2])
    if name not in NAMES:
        raise UsageError(f"--what-if videos={name}: must be one of {', '.join(NAMES)}, or as 1920x1080")
    width, height = NAMES[name]
    return width * height


class Decoded(NamedTuple):
    """A call of a step that decodes, of one request."""

    is_gpu: bool
    rows: int
    pixels: int
    """Of a picture."""
    time_ns: int


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a row takes by the pixels of a picture: a straight line that does not fall below 0."""

    fixed_ns: float
    ns_per_pixel: float

    def row_ns(self, pixels: int) -> float:
        return self.fixed_ns + self.ns_per_pixel * pixels


def with_videos(system: System, name: str, steps: Sequence[int]) -> System:
    """With each call of these steps as long as it would be for pictures of this size.

    Raises UsageError where the profile cannot tell.
    """
    pixels, config = pixels_named(name), system.spec.config.pipeline()
    profile = system.simulator.profile
    durations = dict(profile.durations)
    for step in steps:
        key_of = variants(config)[step]
        calls = [one for run in _runs(profile.runs, name) for one in _decoded(run, step, name)]
        for is_gpu in sorted({one.is_gpu for one in calls}):
            seen = [one for one in calls if one.is_gpu == is_gpu]
            growth = growth_of(seen, name)
            for rows in sorted({one.rows for one in seen}):
                scaled = [
                    one.time_ns * growth.row_ns(pixels) / growth.row_ns(one.pixels)
                    for one in seen
                    if one.rows == rows
                ]
                durations[Key(key_of, is_gpu, "call", rows)] = np.array(scaled).astype(np.int64)
    other = replace(profile, durations=durations, _made={})
    return replace(system, simulator=replace(system.simulator, profile=other))


def growth_of(seen: Sequence[Decoded], name: str) -> Growth:
    """By least squares. Raises UsageError where the sizes that were seen do not tell."""
    sizes = sorted({one.pixels for one in seen})
    if len(sizes) < 2:
        raise UsageError(
            f"--what-if videos={name}: the profile has pictures of one size only, {sizes[0]:,} pixels, so how"
            " decoding grows with it is not known"
        )
    pixels = np.array([one.pixels for one in seen], dtype=np.float64)
    row_ns = np.array([one.time_ns / one.rows for one in seen])
    ns_per_pixel, fixed_ns = np.polyfit(pixels, row_ns, 1).tolist()
    if fixed_ns < 0:
        fixed_ns, ns_per_pixel = 0.0, float((row_ns * pixels).sum() / (pixels**2).sum())
    if ns_per_pixel <= 0:
        raise UsageError(
            f"--what-if videos={name}: in the profile larger pictures take no longer, from"
            f" {sizes[0]:,} to {sizes[-1]:,} pixels"
        )
    return Growth(fixed_ns=fixed_ns, ns_per_pixel=ns_per_pixel)


def _runs(folders: Sequence[str], name: str) -> list[Run]:
    try:
        return [read(folder) for folder in folders]
    except RunFolderError as error:
        raise UsageError(f"--what-if videos={name}: it takes the runs of the profile: {error}") from None


def _decoded(run: Run, step: int, name: str) -> list[Decoded]:
    """The calls of single requests. Raises UsageError where the run does not know their sizes."""
    if "width" not in run.requests:
        raise UsageError(f"--what-if videos={name}: {run.folder} does not tell how large the pictures were")
    pixels = run.requests["width"].astype(np.int64) * run.requests["height"]
    visits = visits_of(run, step)
    calls = calls_of(visits)
    is_gpu = {
        one["replica"]: one.get("device", "cpu") != "cpu" for one in run.meta.replicas if one["step"] == step
    }
    alone = np.flatnonzero(np.diff(calls.offsets) == 1)
    requests = visits.request[calls.members[calls.offsets[alone]]]
    return [
        Decoded(
            is_gpu[int(calls.replica[call])],
            max(1, int(run.requests["num_clips"][request])),
            int(pixels[request]),
            int(calls.finish_ns[call] - calls.start_ns[call]),
        )
        for call, request in zip(alone.tolist(), requests.tolist(), strict=True)
        if pixels[request]
    ]
