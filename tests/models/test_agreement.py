"""The agreement of a faster network with the exact one is counted on clips of real videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from models.r2p1d.agreement import CLIPS_PER_VIDEO, sample_clips, top1_agreement
from models.r2p1d.model import R2P1DRunner
from rnb.contract import Context, TensorSpec
from tests.support.videos import write_video

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"num_classes": 5, "layer_sizes": [1, 1, 1, 1]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def facts_of(videos: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    context = Context(inputs=(TensorSpec((1, 3, 4, 32, 32)),), samples=videos)
    return R2P1DRunner(R2P1DRunner.Options.model_validate({**SMALL, **options}), context).facts()


def test_the_share_of_equal_classes_is_counted_over_all_clips() -> None:
    clips = torch.arange(100.0)[:, None]
    exact = torch.nn.functional.one_hot(torch.arange(100) % 5, 5)
    wrong = exact.roll(1, dims=1)
    agreement = top1_agreement(
        lambda rows: exact[rows[:, 0].long()],
        lambda rows: torch.where(rows < 90, exact[rows[:, 0].long()], wrong[rows[:, 0].long()]),
        clips,
    )
    assert agreement == pytest.approx(0.9)


def test_clips_are_of_the_videos_and_bad_ones_give_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    video = write_video(tmp_path / "good.mp4", num_frames=300)
    clips = sample_clips([str(broken), str(video)], (3, 8, 28, 28), CPU)
    assert clips.shape == (CLIPS_PER_VIDEO, 3, 8, 28, 28)
    assert clips.float().std() > 5
    assert sample_clips([str(broken)], (3, 8, 28, 28), CPU).shape == (0, 3, 8, 28, 28)


def test_a_step_tells_its_agreement_unless_it_is_exact(tmp_path: Path) -> None:
    videos = [str(write_video(tmp_path / "video.mp4"))]
    assert facts_of(videos) == {}
    facts = facts_of(videos, precision="bf16")
    assert facts["num_clips_compared"] == CLIPS_PER_VIDEO
    assert 0.5 <= facts["top1_agreement_with_fp32"] <= 1
    assert facts_of(precision="bf16") == {"top1_agreement_with_fp32": None, "num_clips_compared": 0}


def test_it_is_told_again_without_being_counted_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "video.mp4"
    write_video(video)
    counted: list[int] = []

    def count(exact: Any, fast: Any, clips: torch.Tensor) -> float:
        counted.append(len(clips))
        return 0.75

    monkeypatch.setattr("models.r2p1d.agreement.top1_agreement", count)
    first = facts_of([str(video)], precision="bf16")
    assert facts_of([str(video)], precision="bf16") == first
    assert len(counted) == 1
    facts_of([str(video)], precision="bf16", seed=1)
    assert len(counted) == 2
    video.touch()
    facts_of([str(video)], precision="bf16", seed=1)
    assert len(counted) == 3


def test_a_part_has_no_classes_to_compare(tmp_path: Path) -> None:
    videos = [str(write_video(tmp_path / "video.mp4"))]
    assert facts_of(videos, precision="bf16", end_index=2) == {}
