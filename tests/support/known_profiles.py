"""Profiles made up by hand, so that what follows from them can be computed by hand too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnb.planner.harness import FREE, HarnessCosts
from rnb.planner.key import Key, variants
from rnb.planner.profile import Profile
from rnb.planner.screening import Simulator
from rnb.planner.system import System
from rnb.spec import RunSpec

Times = Mapping[int, Sequence[float]]
"""By rows in the call, what calls took, in ms."""


def known_profile(
    spec: RunSpec, *steps: Times, is_gpu: bool = False, rows: int = 1, demand: float = 0.0
) -> Profile:
    """A profile of these steps; a call takes `demand` cores."""
    names = variants(spec.config.pipeline())
    durations = {
        Key(name, is_gpu, "call", num_rows): np.array([round(1e6 * took) for took in took_ms])
        for name, times in zip(names, steps, strict=True)
        for num_rows, took_ms in times.items()
    }
    return Profile(
        durations=durations, rows=[rows], demand={(name, is_gpu): demand for name in names}, runs=["made up"]
    )


def known_system(
    spec: RunSpec,
    *steps: Times,
    is_gpu: bool = False,
    cores: float = 1e6,
    demand: float = 0.0,
    harness: HarnessCosts = FREE,
) -> System:
    """With cores to spare, which its calls do not use, unless they are said."""
    profile = known_profile(spec, *steps, is_gpu=is_gpu, demand=demand)
    return System.of(spec, Simulator(profile=profile, cores=cores, harness=harness))
