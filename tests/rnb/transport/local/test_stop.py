"""The flag that ends a run."""

from __future__ import annotations

import pytest

from rnb.contract.termination import Termination
from rnb.transport.fabric import Stopped
from rnb.transport.local.stop import StopFlag


def test_the_first_reason_to_stop_is_kept() -> None:
    stop = StopFlag()
    stop.check()
    stop.raise_flag(Termination.FRAME_QUEUE_FULL)
    stop.raise_flag(Termination.PROCESS_FAILED)
    assert stop.reason is Termination.FRAME_QUEUE_FULL
    with pytest.raises(Stopped):
        stop.check()
