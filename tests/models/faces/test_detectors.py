"""Both detectors as steps, with their real weights: they agree, and say where faces are in the original."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest

from models.faces.detectors import Detector, DlibDetector, MtcnnDetector
from models.faces.face import Found, share
from rnb.contract import CPU, Batch, Context, Device, RequestError, TensorSpec
from tests.support import face_data
from tests.support.face_data import HEADS, requests_of

GPU = Device("cuda", 0)


def make(step: type[Detector], **options: Any) -> Detector:
    options["weights"] = face_data.weights()
    return step(step.Options.model_validate(options), Context(batch_size=4))


@pytest.fixture(scope="module")
def mtcnn() -> Detector:
    return make(MtcnnDetector)


@pytest.fixture(scope="module")
def dlib() -> Detector:
    return make(DlibDetector)


@pytest.mark.parametrize("person", HEADS)
def test_the_detectors_agree(mtcnn: Detector, dlib: Detector, person: str) -> None:
    boxes = []
    for step in (mtcnn, dlib):
        ((result,),) = [step.results(step(requests_of([face_data.head(person)])))]
        (face,) = result["faces"]
        boxes.append(face["box"])
    assert share(*boxes) > 0.5
    centres = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in boxes]
    assert math.dist(*centres) < 0.15 * (boxes[1][2] - boxes[1][0])


@pytest.mark.parametrize("name", ["mtcnn", "dlib"])
def test_without_a_face_there_is_none(name: str, request: pytest.FixtureRequest) -> None:
    step = request.getfixturevalue(name)
    coffee = np.ascontiguousarray(face_data.picture("views/nobody/coffee.png")[100:300, 100:300])
    assert step.results(step(requests_of([coffee]))) == [{"faces": []}]


def test_requests_of_many_sizes_each_get_their_own_faces(mtcnn: Detector) -> None:
    astronaut, hopper = face_data.head("astronaut"), face_data.head("hopper")
    black = np.zeros_like(astronaut)
    output = mtcnn(requests_of([astronaut, black], [hopper], [black, astronaut, astronaut[:, ::-1]]))
    counts = [[len(faces) for faces in found.faces] for found in output.payloads]
    assert counts == [[1, 0], [1], [0, 1, 1]]
    assert output.num_rows() == [2, 1, 3]
    first, _, third = (found.faces for found in output.payloads)
    assert share(first[0][0].box, third[1][0].box) > 0.99
    width = astronaut.shape[1]
    mirrored = third[2][0].box
    assert share(first[0][0].box, (width - mirrored[2], mirrored[1], width - mirrored[0], mirrored[3])) > 0.8


def test_few_pictures_at_once_find_the_same(mtcnn: Detector) -> None:
    pictures = requests_of([face_data.head("carphone")] * 3)
    (some,) = make(MtcnnDetector, max_pictures=2)(pictures).payloads
    (all_,) = mtcnn(pictures).payloads
    for faces, same in zip(some.faces, all_.faces, strict=True):
        assert faces[0].box == pytest.approx(same[0].box, abs=0.05)


def test_boxes_of_frames_are_in_pixels_of_the_original(mtcnn: Detector) -> None:
    head = face_data.head("astronaut")
    height, width = head.shape[:2]
    large = {"original_width": 2 * width, "original_height": 3 * height, "frames": (0, 10)}
    ((plain,), (result,)) = (
        mtcnn.results(mtcnn(one)) for one in (requests_of([head]), requests_of([head, head], **large))
    )
    expected = [value * factor for value, factor in zip(plain["faces"][0]["box"], (2, 3, 2, 3), strict=True)]
    assert [frame["frame"] for frame in result["frames"]] == [0, 10]
    for frame in result["frames"]:
        assert frame["faces"][0]["box"] == pytest.approx(expected, abs=0.4)
        assert frame["faces"][0].keys() == {"box", "score"}


def test_faces_are_told_from_left_to_right(mtcnn: Detector) -> None:
    head = face_data.head("astronaut")
    found: Found = mtcnn(requests_of([np.concatenate([head, head], axis=1)])).payloads[0]
    lefts = [face.box[0] for face in found.faces[0]]
    assert len(lefts) == 2
    assert lefts == sorted(lefts)


def test_what_a_detector_takes(mtcnn: Detector) -> None:
    assert MtcnnDetector.output(None, (TensorSpec((1, 9, 3), "uint8"),)) == (TensorSpec((1, 9, 3), "uint8"),)
    with pytest.raises(ValueError, match="DlibDetector takes pictures, so ImageLoader or VideoLoader must"):
        DlibDetector.output(None, ())
    pictures = requests_of([face_data.head("astronaut")])
    (request,) = pictures.requests
    for wrong in (request.with_payload("a.png"), request._replace(num_segments=2)):
        with pytest.raises(RequestError, match="whole requests of ImageLoader or VideoLoader"):
            mtcnn(Batch((wrong,), pictures.tensors, pictures.rows))


def test_what_is_missing_on_the_machine_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"nowhere/pnet\.pt: no such weights; 'make data' puts"):
        MtcnnDetector.check_machine(MtcnnDetector.Options(weights="nowhere"), CPU)
    with pytest.raises(ValueError, match=r"nowhere/mmod_human_face_detector\.dat: no such weights"):
        DlibDetector.check_machine(DlibDetector.Options(weights="nowhere"), CPU)
    monkeypatch.setattr("dlib.DLIB_USE_CUDA", False)
    with pytest.raises(ValueError, match="this build of dlib has no CUDA; place the step on the CPU"):
        DlibDetector.check_machine(DlibDetector.Options(), GPU)
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(ValueError, match=r"dlib is not installed: pip install 'rnb\[faces\]'"):
        DlibDetector.check_machine(DlibDetector.Options(), CPU)


def test_the_facts_name_detector_and_build(mtcnn: Detector, dlib: Detector) -> None:
    assert mtcnn.facts() == {"detector": "mtcnn"}
    assert dlib.facts()["detector"] == "dlib"
    assert dlib.facts()["dlib_uses_cuda"] in (True, False)
