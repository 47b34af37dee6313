"""How the three judgements look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.verdict import Judgement, Verdict
from rnb.show.judgement import LOOKS, look_of
from rnb.show.page.page import render
from rnb.show.page.subject import subject_alone
from tests.support.pages import alone, compared
from tests.support.simulated_runs import simulate

SHORT = Finding(reason=Reason.TOO_SHORT, seen="the measured phase took 16.9 s", advice="-v 11705")
UNTESTED = Finding(reason=Reason.STEADINESS_UNTESTED, seen="23 requests finished", advice="-v 221")
VALID = Verdict(findings=(), notes=(), tail_bound=None)
VERDICTS = {
    Judgement.VALID: VALID,
    Judgement.INVALID: replace(VALID, findings=(SHORT,)),
    Judgement.NOT_JUDGED: replace(VALID, missing=(UNTESTED,)),
}


@pytest.mark.parametrize("judgement", Judgement)
def test_each_has_its_own_look_on_the_page(judgement: Judgement) -> None:
    verdict = VERDICTS[judgement]
    assert verdict.judgement is judgement
    [subject] = alone(simulate(num_requests=300))
    page = render([subject_alone(replace(subject.findings, verdict=verdict))])
    assert f'<div class="verdict {look_of(verdict).css_class}"><b>{judgement.value}</b>' in page
    for ground in verdict.grounds:
        assert f"<b>{ground.reason.value}</b>: {ground.seen}" in page


def test_of_many_runs_each_judgement_is_counted_in_its_own_look() -> None:
    subjects = compared([simulate(f"logs/{seed}", seed=seed, num_requests=100) for seed in range(6)])
    verdicts = [*VERDICTS.values(), *VERDICTS.values()]
    judged = [
        replace(subject, findings=replace(subject.findings, verdict=verdict))
        for subject, verdict in zip(subjects, verdicts, strict=True)
    ]
    page = render(judged)
    for judgement, look in LOOKS.items():
        assert f'<div class="verdict {look.css_class}"><b>{judgement.value}: 2 of 6 runs</b>' in page


def test_no_two_look_alike() -> None:
    assert set(LOOKS) == set(Judgement)
    for looks in ([look.css_class for look in LOOKS.values()], [look.sgr for look in LOOKS.values()]):
        assert len(set(looks)) == 3
