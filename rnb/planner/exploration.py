"""Where to look in a space: at all of it, or, where it is large, at a sample and then around the best."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rnb.pipeline.step_type import asking_once
from rnb.planner.goal import Goal, Prediction
from rnb.planner.parallel import Predictor
from rnb.planner.screening import Candidates, Simulator, candidates_of, known_forms, screen
from rnb.planner.space import Space, Values

MOST_ENUMERATED = 20_000
"""A space of more candidates is sampled."""
SAMPLE = 2_000
MOST_DRAWS = 20
"""For one of it: many may be the same as another."""
NUM_AROUND = 3
"""Around so many of the best it is looked."""
NEAR = 2
"""So far apart in their order are two placements of which both are tried with another change."""
SHARE_OF_SAMPLE = 0.5
"""Of the time, for the sample."""


def explore(
    space: Space,
    goal: Goal,
    simulator: Simulator,
    *,
    known: dict[Values, Prediction],
    until_s: float,
    tell: Callable[[Values, Prediction], None] = lambda values, prediction: None,
) -> Candidates:
    """Bounds first, then work out what they leave; `known` is filled. It ends when the time is over."""
    found = Candidates()
    is_large = space.num_candidates > MOST_ENUMERATED
    seen = set[Values]()

    def look(which: Iterator[Values], end_s: float) -> None:
        new = list(dict.fromkeys(values for values in which if values not in seen))
        seen.update(new)
        more = candidates_of(space, goal, simulator, new)
        screen(more, goal, predictor.predict, known=known, until_s=end_s, tell=tell)
        found.add(more)

    with asking_once(), Predictor(goal, simulator, space) as predictor:
        first_s = time.monotonic() + (until_s - time.monotonic()) * (SHARE_OF_SAMPLE if is_large else 1)
        forms = known_forms(space, simulator) if is_large else []
        look(_sample(space, forms, known) if is_large else space.candidates(), first_s)
        around = set[Values]()
        while is_large and time.monotonic() < until_s:
            best = sorted(known, key=lambda values: goal.rank(known[values]))[:NUM_AROUND]
            new = [values for values in best if values not in around]
            if not new:
                break
            around.add(new[0])
            look(neighbours(space, new[0]), until_s)
    return found


def _sample(space: Space, forms: Sequence[int], known: dict[Values, Prediction]) -> Iterator[Values]:
    """The forms as they are, what lies around them, what is known from before, and candidates drawn from the
    forms that the profile knows."""
    lots = random.Random(0)
    yield from known
    for form in range(len(space.forms)):
        yield space.start_of(form)
        yield from neighbours(space, space.start_of(form))
    for _ in range(SAMPLE if forms else 0):
        yield drawn(space, forms, lots)


def drawn(space: Space, forms: Sequence[int], lots: random.Random) -> Values:
    """A candidate of one of the forms, which are drawn alike, however many candidates they have."""
    for _ in range(MOST_DRAWS):
        form = lots.choice(forms)
        values = (form, *(lots.choice(one.values) for one in space.forms[form].dimensions))
        if not space.is_needless(values):
            break
    return values


def neighbours(space: Space, values: Values) -> Iterator[Values]:
    """Those that differ in one thing, or a little in the replicas of two steps: with a replica more for one
    and one less for the other, or one more for both."""
    dimensions = space.dimensions_of(values)
    for place, dimension in enumerate(dimensions, 1):
        for value in dimension.values:
            if value != values[place]:
                yield _changed(values, {place: value})
    replicas = [place for place, one in enumerate(dimensions, 1) if one.key == "gpus"]
    for one, other in itertools.combinations(replicas, 2):
        pairs = (_near(dimensions[place - 1].values, values[place]) for place in (one, other))
        for first, second in itertools.product(*pairs):
            yield _changed(values, {one: first, other: second})


def _near(choices: Sequence[Any], value: Any) -> Sequence[Any]:
    """The next ones in their order."""
    place = choices.index(value)
    return [one for one in choices[max(0, place - NEAR) : place + NEAR + 1] if one != value]


def _changed(values: Values, changes: Mapping[int, Any]) -> Values:
    return tuple(changes.get(place, value) for place, value in enumerate(values))
