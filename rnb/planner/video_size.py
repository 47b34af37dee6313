"""What decoding would take if the videos had another size: by what the profile's runs say of the sizes that
they played."""

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


def with_videos(system: System, name: str, steps: Sequence[int]) -> System:
    """With each call of these steps as long as it would be for pictures of this size.

    Raises UsageError where the profile cannot tell.
    """
    pixels, names = pixels_named(name), variants(system.spec.config.pipeline())
    profile = system.simulator.profile
    durations = dict(profile.durations)
    for step, is_gpu in itertools.product(steps, (False, True)):
        calls = {
            key: durations.pop(key)
            for key in profile.durations
            if (key.step, key.is_gpu, key.kind) == (names[step], is_gpu, "call")
        }
        if not calls:
            continue
        seen = {key: values for key, values in calls.items() if key.pixels}
        growth = growth_of(seen, name)
        for key, values in seen.items():
            scaled = values * (growth.row_ns(pixels) / growth.row_ns(key.pixels))
            other = key._replace(pixels=0)
            durations[other] = np.concatenate([durations.get(other, values[:0]), scaled.astype(np.int64)])
    supposed = replace(profile, durations=durations, pixels=[], _made={})
    return replace(system, simulator=replace(system.simulator, profile=supposed))


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
