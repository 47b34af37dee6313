"""Where the weights of the face networks lie."""

from __future__ import annotations

from pathlib import Path

from rnb.contract import Options

DEFAULT_FOLDER = "data/weights/faces"
DETECTOR = "mmod_human_face_detector.dat"
FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"
DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"
MTCNN = ("pnet.pt", "rnet.pt", "onet.pt")


class WeightOptions(Options):
    """Where the weights are."""

    weights: str = DEFAULT_FOLDER


def weight_file(folder: str, name: str) -> str:
    """The path of a file of weights. Raises ValueError where it is not there."""
    path = Path(folder) / name
    if not path.is_file():
        raise ValueError(f"{path}: no such weights; 'make data' puts them into {DEFAULT_FOLDER}")
    return str(path)
