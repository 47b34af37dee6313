"""What a search found."""

from __future__ import annotations

import pytest

from rnb.analysis.peak import Probe


@pytest.mark.parametrize(("offered_per_s", "at_per_s"), [(None, 100.0), (97.5, 97.5)])
def test_a_probe_tells_of_the_rate_that_was_measured(offered_per_s: float | None, at_per_s: float) -> None:
    probe = Probe(
        rate_per_s=100.0,
        offered_per_s=offered_per_s,
        percentile_ms=5.0,
        outcome="pass",
    )
    assert probe.at_per_s == at_per_s
