"""Cases that crash, hang and fail: each is its own fault, and the next one is played."""

from __future__ import annotations

import os
import time

from tests.robustness.attack import Attack, Fault, Outcome
from tests.robustness.engine import attack
from tests.robustness.forked import ChildDied, in_child


class Dying(Attack):
    """Its cases end in all ways in which they can."""

    limit_s = 2

    def play(self, seed: int) -> Outcome:
        if seed == 0:
            os.abort()
        if seed == 1:
            time.sleep(60)
        if seed == 2:
            raise ArithmeticError
        outcome = Outcome(f"{seed}")
        if seed > 3:
            try:
                in_child(os.abort if seed == 4 else lambda: [str(1 // 0)])
            except ChildDied as died:
                outcome.note(died.fault, str(died))
        return outcome


def test_what_happens_to_a_case_is_its_own_fault() -> None:
    expected = {
        0: {Fault.CRASH},
        1: {Fault.HANGING},
        2: {Fault.TRACEBACK},
        4: {Fault.CRASH},
        5: {Fault.TRACEBACK},
    }
    played = dict(attack(Dying, range(6)))
    assert sorted(played) == list(range(6))
    faults = {seed: {fault for fault, _ in outcome.faults} for seed, outcome in played.items()}
    assert faults == {3: set(), **expected}


def test_no_more_cases_begin_when_the_time_is_over() -> None:
    assert list(attack(Dying, range(3, 9), seconds=0)) == []
