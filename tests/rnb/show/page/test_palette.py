"""Colours that can be told apart, on a light and on a dark background, whatever the eyes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.show.page.palette import (
    DARK,
    DARK_BACKGROUND,
    LIGHT,
    LIGHT_BACKGROUND,
    run_colour,
    run_dash,
    step_colour,
)

Colour = NDArray[np.float64]

VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB."""
THEMES = [(LIGHT, LIGHT_BACKGROUND), (DARK, DARK_BACKGROUND)]


def linear(colour: str) -> Colour:
    """Linear RGB of '#rrggbb'."""
    values = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def oklab(rgb: Colour) -> Colour:
    """Ottosson 2020: distances are about as people see them; black to white is 1."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    found: Colour = lab @ np.cbrt(cones @ np.clip(rgb, 0, 1))
    return found


@pytest.mark.parametrize(("colours", "background"), THEMES)
def test_every_colour_stands_out_from_the_background(colours: tuple[str, ...], background: str) -> None:
    for colour in colours:
        light, dark = sorted([luminance(colour), luminance(background)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("colours", "background"), THEMES)
def test_no_two_colours_look_alike(colours: tuple[str, ...], background: str, vision: str) -> None:
    seen = {colour: oklab(VISIONS[vision] @ linear(colour)) for colour in colours}
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 0.06, (one, other)


def test_runs_and_steps_have_different_colours_while_there_are_few() -> None:
    assert not {run_colour(run) for run in range(3)} & {step_colour(step) for step in range(3)}


def test_runs_of_one_colour_differ_in_their_dashes() -> None:
    looks = {(run_colour(run), run_dash(run)) for run in range(24)}
    assert len(looks) == 24
