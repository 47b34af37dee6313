"""Loading images and frames into the rows that detectors search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from models.faces.loaders import ImageLoader, VideoLoader
from models.faces.pictures import Pictures, views
from rnb.contract import CPU, Batch, Context, Device, Request, RequestError, SequencePoint, Step, TensorSpec
from tests.support.videos import write_video


def make(step: type[Step], *samples: str, **options: Any) -> Any:
    return step(step.Options.model_validate(options), Context(samples=samples))


def one(payload: object, number: int = 0) -> Batch:
    return Batch((Request(number, str(payload)),))


def test_what_the_loaders_hand_on() -> None:
    assert ImageLoader.output(ImageLoader.Options(max_pixels=500), ()) == (TensorSpec((1, 500, 3), "uint8"),)
    options = VideoLoader.Options(max_pixels=500, max_frames=4)
    assert VideoLoader.output(options, ()) == (TensorSpec((4, 500, 3), "uint8"),)
    workers = [VideoLoader.default_workers(options, device) for device in (CPU, Device("cuda", 0))]
    assert workers == [1, 4]
    VideoLoader.check_machine(options, CPU)
    with pytest.raises(ValueError, match="backend 'nvdec' needs a GPU"):
        VideoLoader.check_machine(VideoLoader.Options(backend="nvdec"), CPU)


def test_an_image_lies_in_the_slot(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    slot = torch.zeros((1, 100, 3), dtype=torch.uint8)
    output = make(ImageLoader, max_pixels=100)(one(tmp_path / "a.png"), out=(slot,))
    assert output.payloads == [Pictures(9, 6, 9, 6)]
    assert output.tensors[0].data_ptr() == slot.data_ptr()
    assert np.array_equal(views(slot, 9, 6)[0].numpy(), picture[..., ::-1])


def test_a_request_of_a_sequence_has_the_next_frames(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", num_frames=20)
    loader = make(VideoLoader, max_pixels=64 * 48, frame_step=3, max_frames=4)
    frames = []
    for position in range(3):
        point = SequencePoint(8, is_start=position == 0, position=position)
        output = loader(Batch((Request(position, str(video), parameters=point.parameters),)))
        frames.append((output.payloads[0].frames, output.num_rows()))
    assert frames == [((0, 3, 6, 9), [4]), ((12, 15, 18), [3]), ((), [0])]


def test_a_large_image_says_what_its_size_was(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 90, 3), np.uint8))
    output = make(ImageLoader, max_pixels=54)(one(tmp_path / "a.png"))
    assert output.payloads == [Pictures(9, 6, 90, 60)]
    assert output.num_rows() == [1]


def test_frames_of_a_video_lie_in_rows(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", num_frames=20)
    loader = make(VideoLoader, str(video), str(tmp_path / "none.mp4"), max_pixels=64 * 48, frame_step=6)
    loader.warm_up(())
    output = loader(one(video))
    assert output.payloads == [Pictures(64, 48, 64, 48, (0, 6, 12, 18))]
    assert output.num_rows() == [4]
    frames = views(output.tensors[0], 64, 48)
    assert len({frame.sum().item() for frame in frames}) == 4
    assert loader.facts() == {"decoder": "pyav"}
    loader.close()


def test_large_frames_are_scaled_down_and_left_out_ones_are_told(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", num_frames=20)
    remarks: dict[int, str] = {}
    options = VideoLoader.Options(max_pixels=32 * 24, frame_step=2, max_frames=3)
    loader = VideoLoader(options, Context(note=remarks.__setitem__))
    assert loader(one(video, 7)).payloads == [Pictures(32, 24, 64, 48, (0, 2, 4))]
    assert remarks == {7: f"{video}: 7 frames beyond max_frames left out"}


@pytest.mark.parametrize("step", [ImageLoader, VideoLoader])
def test_a_damaged_file_fails_its_request(step: type[Step], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"nothing that could be decoded")
    with pytest.raises(RequestError, match=str(tmp_path / "a")):
        make(step)(one(tmp_path / "a"))
