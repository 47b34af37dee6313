"""Streams on the GPU's video engine give the frames of the CPU, and a run of them loses none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nvvl.frame_stream import FrameStream
from nvvl.gpu_frame_stream import GpuFrameStream
from nvvl.native import library
from nvvl.window import Window
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, ROOT, Bench
from utils.sample_videos import prepare

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]

SIZE = 112


@pytest.fixture(scope="module")
def samples() -> list[Path]:
    return prepare(ROOT / "data/videos", ROOT / "data/cache")


@pytest.mark.parametrize("frame_step", [1, 5])
def test_frames_are_those_of_the_cpu(samples: list[Path], frame_step: int) -> None:
    if not library.is_available():
        pytest.fail("python -m nvvl.native.build was not run")
    window = Window.centred(SIZE, SIZE)
    for path in samples[::3]:
        on_cpu = FrameStream(str(path), window, frame_step=frame_step)
        on_gpu = GpuFrameStream(str(path), window, torch.device("cuda", 0), frame_step=frame_step)
        for number in [*range(0, 60 * frame_step, frame_step), 290, 295, 300, 305, 40, 45]:
            picture = torch.zeros(3, SIZE, SIZE, dtype=torch.uint8, device="cuda")
            on_gpu.picture_into(number, picture)
            expected = torch.from_numpy(on_cpu.picture(number)).float()
            error = torch.mean((picture.cpu().float() - expected) ** 2)
            assert error < 255**2 / 10**3.8, f"{path.name}, frame {number}"
        on_gpu.close()
        on_cpu.close()


def test_a_run_of_streams_finishes_every_frame(bench: Bench) -> None:
    flags = ["-c", "config/streams.json", "--streams", "20", "--fps", "10", "--duration", "4"]
    finished = bench.start_with(*flags, "--data", "data/videos").finish(200)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    run = read(finished.folder)
    assert run.requests["status"].tolist().count("finished") == 20 * 10 * 4
