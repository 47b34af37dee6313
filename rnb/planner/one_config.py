"""A space of one: the config as it is, for a profile of it alone."""

from __future__ import annotations

from rnb.planner.forms import Form
from rnb.planner.space import Space, Values, Variations
from rnb.spec import RunSpec


class OneConfig(Space):
    """Nothing varies."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.num_candidates = spec, 1
        self.forms = [Variations(Form("", spec.config.data), [])]

    def spec_of(self, values: Values) -> RunSpec:
        return self.spec
