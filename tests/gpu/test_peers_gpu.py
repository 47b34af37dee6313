"""What other systems do on a GPU: the clips of PyNvVideoCodec's own decoder are those that RnB takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.peers.registry import PEERS
from benchmarks.peers.running import play_peer
from benchmarks.peers.torch_nvdec import NvdecDecoder
from benchmarks.peers.work import Work
from models.r2p1d.model import R2P1DLoader
from nvvl import video_engine
from rnb.contract import Context
from tests.support.peers import small_work
from tests.support.running import ROOT
from utils.sample_videos import prepare

pytestmark = pytest.mark.gpu

NUM_VIDEOS = 6


@pytest.fixture
def work(tmp_path: Path) -> Work:
    if not video_engine.is_available():
        pytest.skip("needs PyNvVideoCodec")
    samples = list(map(str, prepare(ROOT / "data/videos", ROOT / "data/cache")))
    videos = [samples[number % len(samples)] for number in range(NUM_VIDEOS)]
    config = str(ROOT / "config/r2p1d-fast.json")
    return small_work(
        tmp_path, config=config, device="cuda", videos=videos, samples=samples[:2], cores=[0, 1]
    )


def test_its_clips_are_those_that_rnb_takes(work: Work) -> None:
    decoder, loader = NvdecDecoder(work), R2P1DLoader(work.loader, Context())
    out = torch.empty(R2P1DLoader.output(work.loader, ())[0].shape)
    for request in range(NUM_VIDEOS):
        expected = loader.load(work.video(request), request, out)
        clips = decoder.clips(request).cpu().float()
        assert clips.shape == expected.shape
        assert (clips - expected).abs().mean() < 4
    loader.close()


def test_it_finds_the_classes_that_the_plain_loop_finds(work: Work, tmp_path: Path) -> None:
    plays = [[(request, 0.0) for request in range(NUM_VIDEOS)]]
    cpu, gpu = (
        play_peer(name, PEERS[name], work, plays, limit_s=200, log=tmp_path / f"{name}.log")  # type: ignore[arg-type]
        for name in ("torch", "torch-nvdec")
    )
    assert not cpu.why_not
    assert not gpu.why_not
    agreeing = [one == other for one, other in zip(cpu.plays[0].labels, gpu.plays[0].labels, strict=True)]
    assert sum(agreeing) >= NUM_VIDEOS - 1
