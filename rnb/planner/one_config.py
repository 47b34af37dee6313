"""A space of one: the config as it is, for a profile of it alone."""

from __future__ import annotations

from rnb.planner.space import Space, Values
from rnb.spec import RunSpec


class OneConfig(Space):
    """Nothing varies."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.dimensions, self.num_candidates = spec, [], 1

    def spec_of(self, values: Values) -> RunSpec:
        return self.spec
