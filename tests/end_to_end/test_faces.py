"""The face pipelines as a user runs them: who is on images, and in frames of videos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest

from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support import face_data
from tests.support.running import ENDED_WELL, ROOT, Bench


def config(name: str, **loader: Any) -> Any:
    loaded = json.loads((ROOT / "config" / name).read_text())
    steps = loaded if isinstance(loaded, list) else loaded["pipeline"]
    steps[0].update(loader)
    for step in steps[1:3]:
        step["weights"] = face_data.weights()
    steps[2]["gallery"] = str(face_data.pictures() / "gallery")
    return loaded


def test_a_sequence_says_who_was_in_its_video(bench: Bench, tmp_path: Path) -> None:
    data = tmp_path / "some"
    data.mkdir()
    for name in ("bikes/bikes_0.mp4", "carphone/carphone_1.mp4"):
        shutil.copy(ROOT / "data/videos" / name, data)
    pipeline = config("faces-tracking.json", frame_step=40, max_frames=3)
    pipeline[3]["most_gap"] = 80
    flags = ["--sequences", "2", "--sequence-length", "3", "-b", "2"]
    run = bench.call(pipeline, "--data", str(data), "-mi", "0", "-v", "6", *flags)
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    kept = read(run.folder)
    assert sorted(kept.results) == [4, 5]  # the last request of each
    [track] = kept.results[5]["tracks"]
    assert (track["name"], track["first_frame"], track["last_frame"]) == ("carphone", 0, 280)
    assert track["num_faces"] == 8
    assert kept.results[4]["tracks"] == []


def run_over(bench: Bench, pipeline: Any, data: Path, *flags: str) -> Run:
    """Each of the files once."""
    run = bench.call(pipeline, "--data", str(data), "-mi", "0", "-v", str(len(list(data.iterdir()))), *flags)
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    return read(run.folder)


def results_of(run: Run) -> dict[str, Any]:
    """By the name of the file."""
    return {Path(run.requests["video"][number]).stem: result for number, result in run.results.items()}


@pytest.mark.parametrize("detector", ["dlib", "mtcnn"])
def test_people_on_images_are_named(bench: Bench, tmp_path: Path, detector: str) -> None:
    data = tmp_path / "images"
    data.mkdir()
    for person in face_data.HEADS:
        cv2.imwrite(str(data / f"{person}.png"), face_data.head(person)[..., ::-1])
    cv2.imwrite(str(data / "nobody.jpg"), face_data.picture("views/nobody/coffee.png")[100:300, 100:300])
    (data / "broken.jpg").write_bytes(b"no image")
    run = run_over(bench, config(f"faces-{detector}.json"), data, "-b", "2", "--max-failures", "1")
    named = {file: [face["name"] for face in result["faces"]] for file, result in results_of(run).items()}
    assert named == {**{person: [person] for person in face_data.HEADS}, "nobody": []}
    failed = run.requests["status"] == "failed"
    assert run.requests["reason"][failed].tolist() == [
        f"{data / 'broken.jpg'}: is no image that OpenCV can decode"
    ]
    assert [replica["facts"].get("detector") for replica in run.meta.replicas] == [None, detector, None]


def test_a_person_is_named_throughout_a_video(bench: Bench, tmp_path: Path) -> None:
    data = tmp_path / "some"
    data.mkdir()
    for name in ("bunny/bunny_0.mp4", "carphone/carphone_1.mp4"):
        shutil.copy(ROOT / "data/videos" / name, data)
    results = results_of(run_over(bench, config("faces-video.json", frame_step=40), data))
    frames = results["carphone_1"]["frames"]
    assert [frame["frame"] for frame in frames] == list(range(0, 300, 40))
    assert [[face["name"] for face in frame["faces"]] for frame in frames] == [["carphone"]] * 8
    drawn = [face["name"] for frame in results["bunny_0"]["frames"] for face in frame["faces"]]
    assert set(drawn) <= {None}  # a rabbit's face may be one, but nobody's
