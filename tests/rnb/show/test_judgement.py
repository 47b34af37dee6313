"""How the three judgements look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.verdict import Verdict
from rnb.show.judgement import LOOKS, look_of, word_of
from rnb.show.page.page import render
from rnb.show.page.subject import subject_alone
from tests.support.pages import alone
from tests.support.simulated_runs import simulate

FINDING = Finding(reason=Reason.TOO_SHORT, seen="the measured phase took 16.9 s", advice="-v 11705")
VALID = Verdict(findings=(), notes=(), tail_bound=None)
INVALID = replace(VALID, findings=(FINDING,))


class NotJudged(Verdict):
    """One that lacks something."""

    @property
    def headline(self) -> str:
        return "NOT JUDGED: too few requests"


VERDICTS = {
    "VALID": VALID,
    "INVALID": INVALID,
    "NOT JUDGED": NotJudged(findings=(), notes=(), tail_bound=None),
}


@pytest.mark.parametrize("word", VERDICTS)
def test_each_has_its_own_look_on_the_page(word: str) -> None:
    assert word_of(VERDICTS[word]) == word
    [subject] = alone(simulate(num_requests=300))
    page = render([subject_alone(replace(subject.findings, verdict=VERDICTS[word]))])
    assert f'<div class="verdict {look_of(VERDICTS[word]).css_class}"><b>{word}</b>' in page


def test_no_two_look_alike() -> None:
    for looks in ([look.css_class for look in LOOKS.values()], [look.sgr for look in LOOKS.values()]):
        assert len(set(looks)) == 3
