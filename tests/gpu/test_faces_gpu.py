"""The steps of the face pipelines on a GPU find what they find on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.faces.detectors import MtcnnDetector
from models.faces.face import Face
from models.faces.loaders import VideoLoader
from models.faces.mtcnn import Mtcnn
from models.faces.shrinking import shrunk, sums_of
from rnb.contract import CPU, Batch, Context, Device, Request
from tests.support import face_data
from tests.support.running import ROOT

pytestmark = pytest.mark.gpu


def test_the_faces_are_those_of_the_cpu() -> None:
    picture = face_data.picture("gallery/astronaut/0.png")
    batch = torch.from_numpy(np.stack([picture, np.roll(picture, 90, 1), np.zeros_like(picture)]))
    on_cpu, on_gpu = (
        Mtcnn(face_data.weights(), torch.device(device)).find(batch.to(device)) for device in ("cpu", "cuda")
    )
    assert [len(faces) for faces in on_gpu] == [1, 1, 0]
    for faces, same in zip(on_gpu, on_cpu, strict=True):
        for face, expected in zip(faces, same, strict=True):
            assert face.box == pytest.approx(expected.box, abs=1.0)
            assert face.score == pytest.approx(expected.score, abs=1e-2)


def test_shrunk_pictures_are_the_same() -> None:
    pictures = torch.randint(0, 256, (2, 480, 640, 3), dtype=torch.uint8)
    boxes = torch.tensor([[0, 0, 640, 480], [-20, 30, 300, 500]])
    on_cpu, on_gpu = (
        shrunk(sums_of(pictures.to(device)), torch.tensor([0, 1]).to(device), boxes.to(device), (48, 48))
        for device in ("cpu", "cuda")
    )
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-6, atol=1e-4)


def test_frames_of_a_video_stay_on_the_gpu() -> None:
    on_cpu, on_gpu = faces_in_a_video(CPU), faces_in_a_video(Device("cuda", 0))
    assert [len(faces) for faces in on_cpu] == [len(faces) for faces in on_gpu] == [1] * 8
    for (expected,), (face,) in zip(on_cpu, on_gpu, strict=True):
        assert face.box == pytest.approx(expected.box, abs=5.0)  # the decoders' pixels differ a little


def faces_in_a_video(where: Device) -> tuple[tuple[Face, ...], ...]:
    options = VideoLoader.Options(max_pixels=340 * 256, frame_step=40)
    loader = VideoLoader(options, Context(where=where))
    detector = MtcnnDetector(MtcnnDetector.Options(weights=face_data.weights()), Context(where=where))
    detector.warm_up(())
    with torch.inference_mode():
        loaded = loader(Batch((Request(0, str(ROOT / "data/videos/carphone/carphone_0.mp4")),)))
        assert loaded.tensors[0].device == where.torch()
        (found,) = detector(loaded).payloads
    loader.close()
    faces: tuple[tuple[Face, ...], ...] = found.faces
    return faces
