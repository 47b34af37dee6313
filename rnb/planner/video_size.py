"""What decoding would take if the videos had another size or codec: by what the profile's runs say of those
that they played."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnb.contract.termination import UsageError
from rnb.planner.key import Key, variants
from rnb.planner.observations import Numbers
from rnb.planner.system import System

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


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a row takes by the pixels of a picture: a straight line that does not fall below 0."""

    fixed_ns: float
    ns_per_pixel: float

    def row_ns(self, pixels: int) -> float:
        return self.fixed_ns + self.ns_per_pixel * pixels


def with_videos(system: System, steps: Sequence[int], size: str | None, codec: str | None) -> System:
    """With each call of these steps as long as it would be for videos of this size and codec, where they are
    given.

    Raises UsageError where the profile cannot tell.
    """
    names = variants(system.spec.config.pipeline())
    profile = system.simulator.profile
    durations = dict(profile.durations)
    for step, is_gpu in itertools.product(steps, (False, True)):
        calls = {
            key: durations.pop(key)
            for key in profile.durations
            if (key.step, key.is_gpu, key.kind) == (names[step], is_gpu, "call")
        }
        if calls and codec is not None:
            calls = _of_codec(calls, codec)
        if calls and size is not None:
            calls = _of_size(calls, size)
        for key, values in calls.items():
            other = key._replace(pixels=0, codec="")
            durations[other] = np.concatenate([durations.get(other, values[:0]), values])
    supposed = replace(profile, durations=durations, pictures=[], _made={})
    return replace(system, simulator=replace(system.simulator, profile=supposed))


def _of_codec(calls: Mapping[Key, Numbers], codec: str) -> dict[Key, Numbers]:
    found = {key: values for key, values in calls.items() if key.codec == codec}
    if not found:
        seen = ", ".join(sorted({key.codec for key in calls if key.codec})) or "none that it tells"
        raise UsageError(f"--what-if codec={codec}: the profile has no such videos; it has {seen}")
    return found


def _of_size(calls: Mapping[Key, Numbers], size: str) -> dict[Key, Numbers]:
    """Along the line of each codec, where it was seen in several sizes; else of all that were seen."""
    pixels, found = pixels_named(size), {}
    seen = {key: values for key, values in calls.items() if key.pixels}
    of_all = growth_of(seen, size)
    for codec in {key.codec for key in seen}:
        own = {key: values for key, values in seen.items() if key.codec == codec}
        growth = growth_of(own, size) if len({key.pixels for key in own}) > 1 else of_all
        for key, values in own.items():
            scale = growth.row_ns(pixels) / growth.row_ns(key.pixels)
            found[key] = (values * scale).astype(np.int64)
    return found


def growth_of(seen: Mapping[Key, Numbers], name: str) -> Growth:
    """By least squares. Raises UsageError where the sizes that were seen do not tell."""
    sizes = sorted({key.pixels for key in seen})
    if not sizes:
        raise UsageError(f"--what-if videos={name}: the profile does not tell how large the pictures were")
    if len(sizes) == 1:
        raise UsageError(
            f"--what-if videos={name}: the profile has pictures of one size only, {sizes[0]:,} pixels, so how"
            " decoding grows with it is not known"
        )
    pixels = np.repeat([float(key.pixels) for key in seen], [len(values) for values in seen.values()])
    row_ns = np.concatenate([values / max(1, key.rows) for key, values in seen.items()])
    ns_per_pixel, fixed_ns = np.polyfit(pixels, row_ns, 1).tolist()
    if fixed_ns < 0:
        fixed_ns, ns_per_pixel = 0.0, float((row_ns * pixels).sum() / (pixels**2).sum())
    if ns_per_pixel <= 0:
        raise UsageError(
            f"--what-if videos={name}: in the profile larger pictures take no longer, from"
            f" {sizes[0]:,} to {sizes[-1]:,} pixels"
        )
    return Growth(fixed_ns=fixed_ns, ns_per_pixel=ns_per_pixel)
