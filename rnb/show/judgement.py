"""How a judgement looks: one of three colours, the same on the page and on a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from rnb.analysis.verdict import Judgement, Verdict


@dataclass(frozen=True, kw_only=True)
class Look:
    css_class: str
    sgr: str
    """The colour as a terminal's 'select graphic rendition'."""


LOOKS = {
    Judgement.VALID: Look(css_class="good", sgr="32"),
    Judgement.INVALID: Look(css_class="bad", sgr="31"),
    Judgement.NOT_JUDGED: Look(css_class="open", sgr="33"),
}


def look_of(verdict: Verdict) -> Look:
    return LOOKS[verdict.judgement]
