"""Signals interrupt a run instead of the process."""

from __future__ import annotations

import os
import signal

import pytest

from rnb.command_line.signals import SIGNALS, stop_on_signals
from rnb.play import Interruption


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_sets_the_interruption(number: signal.Signals) -> None:
    before = {one: signal.getsignal(one) for one in SIGNALS}
    interruption = Interruption()
    with stop_on_signals(interruption):
        assert not interruption.is_set
        os.kill(os.getpid(), number)
        assert interruption.is_set
    assert {one: signal.getsignal(one) for one in SIGNALS} == before


def test_the_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ArithmeticError), stop_on_signals(Interruption()):
        raise ArithmeticError
    assert signal.getsignal(signal.SIGTERM) is before
