from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.utils.cupti.fake_cupti import FakeCupti
from utils.cupti import gpu_sampler, sampling_process
from utils.cupti.errors import CuptiUnavailable
from utils.cupti.gpu_sampler import METRIC_SETS
from utils.cupti.sampling_process import SamplingProcess, sample_gpus


class OneGpu(FakeCupti):
    """Device 1 is not to be had."""

    def chip_name(self, device: int) -> str:
        if device == 1:
            raise CuptiUnavailable("no permission")
        return super().chip_name(device)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[OneGpu]:
    bridge = OneGpu(passes=dict.fromkeys(METRIC_SETS[2].values(), 1))
    for module in (gpu_sampler, sampling_process):
        monkeypatch.setattr(module, "open_cupti", lambda: bridge)
    monkeypatch.setattr("time.perf_counter_ns", lambda: 5)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/tmp/somewhere")
    title = Path("/proc/self/comm").read_text()
    handler = signal.getsignal(signal.SIGINT)
    yield bridge
    signal.signal(signal.SIGINT, handler)
    Path("/proc/self/comm").write_text(title)


def test_it_samples_what_can_be_sampled_and_says_what_cannot(fake: OneGpu) -> None:
    fake.samples = (np.array([[0, 10], [10, 20]]), np.array([[50.0, 40.0], [60.0, 30.0]]))
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        ours.send("start")
        ours.send("stop")
        sample_gpus(theirs, [0, 1], 2000)
        assert ours.recv() == {1: "no permission"}
        (samples,), problems = ours.recv()
    assert problems == {}
    assert samples.device == 0
    assert samples.columns["occupancy_pct"].tolist() == [60]
    assert fake.sampler_options["interval_ns"] == 2_000_000
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


def test_it_ends_when_nobody_asks_any_more(fake: OneGpu) -> None:
    ours, theirs = multiprocessing.Pipe()
    with theirs:
        ours.close()
        sample_gpus(theirs, [0], 2000)


def test_a_device_that_is_not_there_is_a_line_and_the_process_ends() -> None:
    process = SamplingProcess([99], interval_us=2000)
    try:
        problems = process.start()
        assert list(problems) == [99]
        assert "\n" not in problems[99]
        assert len(problems[99]) > 10
        assert process.stop() == ([], {})
    finally:
        process.kill()


def test_a_process_that_was_killed_is_a_line() -> None:
    process = SamplingProcess([0], interval_us=2000)
    process.kill()
    assert process.start() == {0: "the sampling process ended"}
    assert process.stop() == ([], {0: "the sampling process ended"})
