"""What R2P1DSizer tells of a request is what R2P1DLoader makes of it."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.r2p1d.model import R2P1DLoader, R2P1DSyntheticLoader
from models.r2p1d.sampler import R2P1DSampler
from models.r2p1d.sizer import ManyFramesSelector, R2P1DSizer
from nvvl.indexed_file import IndexedFile
from nvvl.video_file import VideoFile
from rnb.contract import Batch, Context, Request
from rnb.pipeline.config import ConfigError, PipelineConfig, parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.pipeline.selectors import ClipCountSelector
from rnb.transport.local.queues import BYTES_PER_MESSAGE
from tests.support import numbered_videos as nv
from tests.support.videos import write_video


def told(request: int, **options: Any) -> Batch:
    sizer = R2P1DSizer(R2P1DSizer.Options(**options), Context())
    return sizer(Batch((Request(request, f"video {request}"),)))


def test_the_clips_of_a_loader_with_the_same_seed() -> None:
    for seed in (0, 7):
        options = R2P1DSyntheticLoader.Options(seed=seed)
        loader = R2P1DSyntheticLoader(options, Context())
        for request in range(40):
            made = loader(Batch((Request(request),)))
            assert list(told(request, seed=seed).sizes) == made.num_rows()


@pytest.mark.parametrize(
    "options", [{}, {"num_clips_population": [2, 9, 30], "num_clips_weights": [1, 1, 1]}]
)
def test_the_draw_of_the_sampler(options: dict[str, Any]) -> None:
    sampler = R2P1DSampler(8, **options)
    seen = Counter[int]()
    for request in range(300):
        sampler.seed(3, request)
        num_clips = len(sampler.sample(300))
        assert told(request, seed=3, **options).sizes == (num_clips,)
        seen[num_clips] += 1
    assert len(seen) == len(options.get("num_clips_population", (1, 15)))


def test_a_fixed_number() -> None:
    assert told(0, num_clips=4, num_clips_population=None).sizes == (4,)


def test_it_hands_the_request_on_and_its_size_chooses_the_queue() -> None:
    selector, by_size = ClipCountSelector(2), {1: 0, 15: 1}
    batches = [told(request) for request in range(100)]
    assert [batch.payloads for batch in batches] == [[f"video {request}"] for request in range(100)]
    assert {batch.tensors for batch in batches} == {()}
    chosen = [selector.select(batch) for batch in batches]
    assert chosen == [by_size[batch.size] for batch in batches]
    assert set(chosen) == {0, 1}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return nv.encode(tmp_path / "a.mp4", nv.H264["b3"])


def decoded(request: int, video: Path, **options: Any) -> int:
    """How many frames the loader's decoder gets for a request."""
    made = R2P1DLoader.Options.model_validate({"width": 8, "height": 8, **options})
    loader, fed = R2P1DLoader(made, Context()), list[int]()
    with pytest.MonkeyPatch.context() as patch:
        take = VideoFile.decode

        def counted(file: VideoFile, packet: Any) -> Any:
            fed.append(packet is not None)
            return take(file, packet)

        patch.setattr(VideoFile, "decode", counted)
        loader(Batch((Request(request, str(video)),)))
    loader.close()
    return sum(fed)


@pytest.mark.parametrize("options", [{}, {"frame_step": 2}, {"num_clips": 3, "num_clips_population": None}])
def test_the_frames_that_a_loader_decodes(video: Path, options: dict[str, Any]) -> None:
    sizer = R2P1DSizer(R2P1DSizer.Options(counts="frames", **options), Context())
    seen = set()
    for request in range(20):
        batch = sizer(Batch((Request(request, str(video)),)))
        assert batch.payloads == [str(video)]
        assert isinstance(batch.payloads[0], IndexedFile), "the loader makes no index"
        assert batch.size == decoded(request, video, **options)
        seen.add(batch.size)
    assert len(seen) > 1


@pytest.mark.parametrize(("num_frames", "is_small"), [(250, True), (400, False)])
def test_a_large_index_stays_behind(tmp_path: Path, num_frames: int, is_small: bool) -> None:
    """It would take the places of other messages in a queue, which ends a run whose queues hold all."""
    path = write_video(tmp_path / "a.mp4", num_frames=num_frames, width=16, height=16)
    sizer = R2P1DSizer(R2P1DSizer.Options(counts="frames"), Context())
    batch = sizer(Batch((Request(0, str(path)),)))
    assert batch.payloads == [str(path)]
    assert isinstance(batch.payloads[0], IndexedFile) is is_small
    assert len(pickle.dumps(batch.payloads, pickle.HIGHEST_PROTOCOL)) < BYTES_PER_MESSAGE
    assert batch.size > 0


def test_a_file_that_cannot_be_used_is_left_to_the_loader(tmp_path: Path) -> None:
    assert R2P1DSizer(R2P1DSizer.Options(counts="frames"), Context())(
        Batch((Request(0, str(tmp_path / "none.mp4")),))
    ).sizes == (0,)


def test_many_frames_choose_the_queue() -> None:
    selector = ManyFramesSelector(2)
    batch = Batch((Request(0, "a"),))
    assert [selector.select(batch.give(sizes=[count])) for count in (0, 11, 109, 110, 240)] == [0, 0, 0, 1, 1]


def pipeline(sizer: dict[str, Any], *loaders: dict[str, Any], model: str = "R2P1DLoader") -> PipelineConfig:
    groups = [{"gpus": [-1], "in_queue": 0, **options} for options in loaders]
    return parse_config(
        {
            "pipeline": [
                {
                    "model": "models.r2p1d.sizer.R2P1DSizer",
                    "queue_groups": [{"gpus": [-1], "out_queues": [0]}],
                    **sizer,
                },
                {"model": f"models.r2p1d.model.{model}", "queue_groups": groups},
            ]
        }
    )


@pytest.mark.parametrize(
    ("sizer", "loader", "problem"),
    [
        ({}, {"seed": 5}, "seed: 3, and 5"),
        ({"seed": 4}, {}, "seed: 4, and 3"),
        ({"num_clips_weights": [1, 1]}, {}, "num_clips_weights: (1.0, 1.0), and (10, 1)"),
        ({"num_clips_population": None}, {}, "num_clips_population: None, and (1, 15)"),
        (
            {"num_clips_population": None, "num_clips": 3},
            {"num_clips_population": None},
            "num_clips: 3, and 10",
        ),
        ({"counts": "frames"}, {"frame_step": 2}, "frame_step: 1, and 2"),
        ({"counts": "frames", "frame_rate": 15}, {}, "frame_rate: 15.0, and None"),
        ({"counts": "frames"}, {"preset": "torchvision-kinetics400"}, "consecutive_frames: 8, and 16"),
        ({"counts": "frames", "clip_positions": "even"}, {}, "clip_positions: even, and drawn"),
    ],
)
def test_a_loader_that_draws_otherwise_is_refused(
    sizer: dict[str, Any], loader: dict[str, Any], problem: str
) -> None:
    flags = PlanOptions(mode="cpu", step_options={"seed": 3})
    with pytest.raises(ConfigError) as raised:
        make_plan(pipeline(sizer, loader), flags)
    assert str(raised.value).startswith(f"pipeline[0].queue_groups[0]: {problem}")
    assert "in the step behind it: must be the same" in str(raised.value)


@pytest.mark.parametrize(
    ("sizer", "loader", "model"),
    [
        ({"seed": 5}, {"seed": 5}, "R2P1DLoader"),
        ({}, {"frame_step": 2, "consecutive_frames": 4, "clip_positions": "even"}, "R2P1DLoader"),
        ({"counts": "frames"}, {"width": 8, "dtype": "uint8", "conceal": True}, "R2P1DLoader"),
        ({"counts": "frames", "consecutive_frames": 4}, {}, "R2P1DSyntheticLoader"),
    ],
)
def test_options_that_change_no_size_may_differ(
    sizer: dict[str, Any], loader: dict[str, Any], model: str
) -> None:
    assert make_plan(pipeline(sizer, loader, model=model), PlanOptions(mode="cpu"))


def test_only_a_loader_that_reads_its_queue_is_asked() -> None:
    groups: list[dict[str, Any]] = [
        {"gpus": [-1], "out_queues": [0]},
        {"gpus": [-1], "out_queues": [1], "seed": 5},
    ]
    loaders = {"in_queue": 0}, {"in_queue": 1, "seed": 5}
    assert make_plan(pipeline({"queue_groups": groups}, *loaders), PlanOptions(mode="cpu"))
    groups[0]["out_queues"] = [0, 1]
    with pytest.raises(ConfigError, match=r"^pipeline\[0\]\.queue_groups\[0\]: seed: 0, and 5 in the step"):
        make_plan(pipeline({"queue_groups": groups}, *loaders), PlanOptions(mode="cpu"))
