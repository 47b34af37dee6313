"""The CPU time of processes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time

import pytest

from rnb.observe.cpu_time import cpu_time_s


def test_of_this_process() -> None:
    assert cpu_time_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)


def test_of_a_process_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert math.isnan(cpu_time_s(process.pid))
