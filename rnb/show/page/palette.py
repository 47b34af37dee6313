"""Colours: the same for a run, or for a step, in the whole page.

Found by search: the two that are most alike are as far apart as can be, also as people see them with
protanopia, deuteranopia and tritanopia (Machado, Oliveira and Fernandes, 'A physiologically-based model for
simulation of color vision deficiency', 2009), and each has a contrast of 3:1 to the background (WCAG 2.2,
1.4.11). Steps begin elsewhere in the list, so that in a page of few runs and steps no colour means both.
Where there are more runs than colours, lines are dashed; nothing is told by colour alone.
"""

from __future__ import annotations

LIGHT = ("#0f54b5", "#cd3f2b", "#17a0c2", "#ad912e", "#9162d4", "#09905e", "#d9709f", "#7c4003")
DARK = ("#3b7cf0", "#f3635c", "#5ec4e6", "#ebb61e", "#af88fe", "#8ce9ac", "#c980ac", "#a1600f")
LIGHT_BACKGROUND, DARK_BACKGROUND = "#ffffff", "#15171c"
DASHES = ("", "6 3", "2 3")


def run_colour(index: int) -> str:
    """As CSS."""
    return f"var(--colour-{index % len(LIGHT)})"


def run_dash(index: int) -> str:
    """As stroke-dasharray; empty for the first ones."""
    return DASHES[index // len(LIGHT) % len(DASHES)]


def step_colour(step: int) -> str:
    return f"var(--colour-{(5 - step) % len(LIGHT)})"


def variables(colours: tuple[str, ...], background: str) -> str:
    """CSS custom properties of one theme."""
    named = {f"colour-{index}": colour for index, colour in enumerate(colours)}
    return "".join(f"--{name}:{value};" for name, value in {**named, "background": background}.items())
